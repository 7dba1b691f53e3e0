//! A tag moves, or a workload is as it is, and nothing must be rolled out.

use kube_autorollout_core::state::{Reason, State};
use kube_autorollout_testbed::{
    image::{Image, ImageIndex},
    workload,
};
use serde_json::json;

use crate::{harness::World, metrics::Metrics, reported::until_reported};

#[tokio::test]
async fn other_attestations_alone_roll_nothing_out() {
    let world = World::new("attest").await;
    world.permit_nodes().await;
    let index =
        |build: u32| ImageIndex::of([Image::new("attested")]).attested(&format!("build {build}"));
    world.push(&index(0), "app").await;
    world.deploy("web", "app").await;
    let controller = world.controller("").await;
    controller.until_all("UpToDate", 1).await;
    // Of several pulls a node shows the alphabetically first digest, so in some of these rounds it names an older index
    // also after its own restart.
    for build in 1..4 {
        world.push(&index(build), "app").await;
        controller
            .until_logged(&["decided", "UpToDate", "IndexChangedOnly"])
            .await;
        let restart = json!({ "spec": { "template": { "metadata": { "annotations": { "round": build.to_string() } } } } });
        world.patch("web", restart).await;
        world.rolled_out("web").await;
        controller.checks("web", 2).await;
        controller.until_all("UpToDate", 1).await;
    }
    assert_eq!(world.patches(), 0);
}

#[tokio::test]
async fn another_architecture_alone_rolls_nothing_out_where_nodes_may_be_read() {
    let world = World::new("arch-nodes").await;
    world.permit_nodes().await;
    let controller = other_architecture(&world, "").await;
    controller.checks("web", 3).await;
    controller.until_all("UpToDate", 1).await;
    assert_eq!(world.patches(), 0);
}

#[tokio::test]
async fn another_architecture_alone_rolls_nothing_out_where_platforms_are_configured() {
    let world = World::new("arch-set").await;
    let controller = other_architecture(&world, "platforms: [linux/amd64]").await;
    controller.checks("web", 3).await;
    controller.until_all("UpToDate", 1).await;
    assert_eq!(world.patches(), 0);
}

#[tokio::test]
async fn another_architecture_alone_rolls_out_at_most_once_where_neither_is_known() {
    let world = World::new("arch-none").await;
    let controller = other_architecture(&world, "").await;
    controller.checks("web", 5).await;
    assert!(world.patches() <= 1);
    controller
        .until_logged(&["nodes may not be read", "platforms"])
        .await;
}

/// A Deployment whose image gets a new manifest for an architecture that no node has.
pub(crate) async fn other_architecture(
    world: &World,
    configuration: &str,
) -> crate::harness::Controller {
    let marker = world.namespace.name();
    let amd = Image::new(format!("{marker}-amd64"));
    let arm =
        |version: u32| Image::new(format!("{marker}-arm64-{version}")).platform("linux", "arm64");
    world
        .push(&ImageIndex::of([amd.clone(), arm(1)]), "app")
        .await;
    world.deploy("web", "app").await;
    let controller = world.controller(configuration).await;
    controller.until_all("UpToDate", 1).await;
    world.push(&ImageIndex::of([amd, arm(2)]), "app").await;
    controller
}

#[tokio::test]
async fn another_compression_of_the_same_image_rolls_nothing_out() {
    let world = World::new("zstd").await;
    let image = Image::new("zstd");
    world.push(&image, "app").await;
    world.deploy("web", "app").await;
    let controller = world.controller("").await;
    controller.until_all("UpToDate", 1).await;
    world.push(&image.zstd(), "app").await;
    let state = State::UpToDate;
    until_reported(&world, &controller, "web", state, Reason::SameConfig).await;
    controller.checks("web", 2).await;
    assert_eq!(world.patches(), 0);
}

#[tokio::test]
async fn what_cannot_or_must_not_be_rolled_out_is_left_alone_with_its_reason() {
    let world = World::new("skipped").await;
    let old = Image::new("skipped-1");
    world.push(&old, "app").await;
    let image = world.image("app");
    let pinned = format!("{}@{}", image, old.digest());
    let named = |name: &str| workload::Deployment::named(name).labelled();
    world
        .create(
            named("cached")
                .container("app", &image)
                .pull_policy("IfNotPresent"),
        )
        .await;
    world
        .create(named("pinned").container("app", &pinned))
        .await;
    world.create(named("paused").container("app", &image)).await;
    world
        .create(named("empty").container("app", &image).replicas(0))
        .await;
    for name in ["cached", "pinned", "paused", "empty"] {
        world.rolled_out(name).await;
    }
    world
        .patch("paused", json!({ "spec": { "paused": true } }))
        .await;
    world.push(&Image::new("skipped-2"), "app").await;

    let controller = world.controller("").await;
    for (name, reason) in [
        ("cached", Reason::PullPolicy),
        ("pinned", Reason::Pinned),
        ("empty", Reason::NoPods),
    ] {
        until_reported(&world, &controller, name, State::Skipped, reason).await;
    }
    controller
        .until_logged(&["decided", "/paused ", "state=Paused"])
        .await;
    let metrics = controller.metrics().await;
    assert_eq!(
        metrics.states(),
        [("Paused".to_owned(), 1), ("Skipped".to_owned(), 3)].into()
    );
    let note = world
        .until_event("cached", "ImagePullPolicyNotAlways")
        .await;
    assert!(
        note.contains("container app") && note.contains("Always"),
        "{note}"
    );
    assert_eq!(world.patches(), 0);

    // What kept it is gone: it is rolled out without a restart of the controller.
    world
        .patch("paused", json!({ "spec": { "paused": false } }))
        .await;
    controller.until_completed(1).await;
    assert_eq!(world.patches(), 1);
}

/// Or an alert would wait for a check.
#[tokio::test]
async fn a_workload_that_is_not_checked_has_no_time_of_a_check() {
    let (world, controller) = World::with_web("unchecked", "").await;
    let is_checked = |metrics: &Metrics| metrics.last_check("web") > 0.0;
    for unchecked in [
        json!({ "spec": { "paused": true } }),
        json!({ "spec": { "replicas": 0 } }),
    ] {
        controller.until("a check", is_checked).await;
        world.patch("web", unchecked).await;
        controller
            .until("no check", |metrics| !is_checked(metrics))
            .await;
        let back = json!({ "spec": { "paused": false, "replicas": 1 } });
        world.patch("web", back).await;
    }
}

#[tokio::test]
async fn a_container_that_is_not_checked_is_reported_once_over_rollouts_of_another_one() {
    let (world, controller) = World::with_web("reported-once", "").await;
    world.push(&Image::new("reported-proxy"), "proxy").await;
    let sidecar = json!({ "spec": { "template": { "spec": { "containers": [
        { "name": "app", "image": world.image("app"), "imagePullPolicy": "Always" },
        { "name": "proxy", "image": world.image("proxy"), "imagePullPolicy": "IfNotPresent" },
    ]}}}});
    world.patch("web", sidecar).await;
    world.until_event("web", "ImagePullPolicyNotAlways").await;
    for version in 2..=3 {
        world.push(&world.version(version), "app").await;
        let completed = u64::from(version) - 1;
        controller.until_completed(completed).await;
    }
    controller.until_all("UpToDate", 1).await;
    let log = controller.log();
    let warnings: Vec<_> = log.lines().filter(|line| line.contains(" WARN ")).collect();
    let ours = warnings
        .iter()
        .filter(|line| line.contains("container proxy is not checked"));
    assert_eq!(ours.count(), 1, "{warnings:#?}");
}

#[tokio::test]
async fn a_rollout_in_flight_is_not_disturbed() {
    let (world, controller) = World::with_web("flight", "").await;
    // The user's own rollout: its pods take a while to be replaced.
    let slow = world.version(2).download(std::time::Duration::from_secs(4));
    world.push(&slow, "other").await;
    let edit = json!({ "spec": { "template": { "spec": { "containers": [
        { "name": "app", "image": world.image("other"), "imagePullPolicy": "Always" },
    ]}}}});
    world.patch("web", edit).await;
    let metrics = controller.until_all("RollingOut", 1).await;
    assert_eq!(
        metrics.value("workload_outdated", &[("name", "web")]),
        Some(0.0),
        "it is not our rollout"
    );
    world.push(&world.version(3), "other").await;
    world.until_running(&world.marker(3), 1).await;
    controller.until_all("UpToDate", 1).await;
    assert!(world.patches() <= 1, "at most one, after the user's");
}
