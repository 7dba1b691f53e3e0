//! Charts and bills of materials under the tag of an image or beside it, and indexes that call their images artifacts.

use kube_autorollout_core::state::{Reason, State};
use kube_autorollout_testbed::{
    image::{Artifact, Image, ImageIndex},
    workload::Deployment,
};

use crate::{
    harness::{Controller, World},
    reported::{until_decided, until_reported},
};

async fn until_no_image(world: &World, controller: &Controller) {
    let (state, reason) = (State::Unknown, Reason::UnsupportedMediaType);
    until_reported(world, controller, "web", state, reason).await;
}

#[tokio::test]
async fn what_is_no_image_is_not_rolled_out_and_is_called_by_its_name() {
    let (world, controller) = World::with_web("artifact", "").await;
    for (artifact, name) in [
        (
            Artifact::helm_chart("1.0.0"),
            "a Helm chart (application/vnd.cncf.helm.config.v1+json)",
        ),
        (
            Artifact::sbom("artifact"),
            "an SBOM (application/spdx+json)",
        ),
    ] {
        world.push(&artifact, "app").await;
        until_no_image(&world, &controller).await;
        controller
            .until_logged(&["the tag names", name, "push the image"])
            .await;
        until_decided(&controller, 3).await;
        world.push(&world.version(1), "app").await;
        controller.until_all("UpToDate", 1).await;
    }
    let note = world.until_event("web", "RegistryCheckFailed").await;
    assert!(note.contains("not a container image"), "{note}");
    assert_eq!(world.patches(), 0);
    world.push(&world.version(2), "app").await;
    world.until_running(&world.marker(2), 1).await;
    assert_eq!(world.patches(), 1);
}

#[tokio::test]
async fn a_chart_holds_other_containers_back_only_while_the_tag_names_it() {
    let world = World::new("chart-beside").await;
    world.push(&world.version(1), "app").await;
    world.push(&Image::new("chart-beside-proxy"), "proxy").await;
    let web = Deployment::named("web")
        .container("app", &world.image("app"))
        .container("proxy", &world.image("proxy"));
    world.create(web.labelled()).await;
    world.rolled_out("web").await;
    let controller = world.controller("").await;
    controller.until_all("UpToDate", 1).await;
    world.push(&Artifact::helm_chart("2.0.0"), "proxy").await;
    until_no_image(&world, &controller).await;
    world.push(&world.version(2), "app").await;
    let (state, reason) = (State::Outdated, Reason::WaitingForOtherContainer);
    until_reported(&world, &controller, "web", state, reason).await;
    until_decided(&controller, 3).await;
    assert_eq!(world.patches(), 0);
    world.push(&Image::new("chart-beside-proxy"), "proxy").await;
    controller.until_completed(1).await;
    assert_eq!(world.patches(), 1);
}

#[tokio::test]
async fn another_chart_beside_the_images_of_an_index_rolls_nothing_out() {
    let world = World::new("chart-index").await;
    let index =
        |version: &str| ImageIndex::of([world.version(1)]).artifact(Artifact::helm_chart(version));
    world.push(&index("1.0.0"), "app").await;
    world.deploy("web", "app").await;
    let controller = world.controller("").await;
    controller.until_all("UpToDate", 1).await;
    for version in ["1.0.1", "1.0.2", "1.0.3"] {
        world.push(&index(version), "app").await;
        let (state, reason) = (State::UpToDate, Reason::IndexChangedOnly);
        until_reported(&world, &controller, "web", state, reason).await;
        controller.checks("web", 2).await;
    }
    assert_eq!(world.patches(), 0);
}

#[tokio::test]
async fn an_index_that_calls_its_images_artifacts_is_rolled_out_once() {
    let world = World::new("artifact-type").await;
    world.permit_nodes().await;
    let index = |version| ImageIndex::of([world.version(version)]).with_artifact_types();
    world.push(&index(1), "app").await;
    world.deploy("web", "app").await;
    let controller = world.controller("").await;
    controller.until_all("UpToDate", 1).await;
    world.push(&index(2), "app").await;
    world.until_running(&world.marker(2), 1).await;
    controller.until_all("UpToDate", 1).await;
    controller.checks("web", 2).await;
    assert_eq!(world.patches(), 1);
}
