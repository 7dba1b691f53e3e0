//! Rollouts in the words of the image's authors: versions and commits.

use kube_autorollout_testbed::{
    fault_proxy::{FaultProxy, Mode},
    image::{Image, ImageIndex},
    workload::Deployment,
};

use crate::harness::World;

/// The requests of the controller for blobs of this world.
fn blobs(world: &World) -> Vec<String> {
    let requests = world.testbed.registry().log();
    let requests = requests.of_controllers(&format!("{}/blobs/", world.namespace.name()));
    let requests = requests.expect("the access log").into_iter();
    requests.map(|request| request.path).collect()
}

#[tokio::test]
async fn a_rollout_is_reported_with_the_versions_of_both_images() {
    let world = World::new("versions").await;
    let old = world.version(1).released("1.4.2", "ab12cd34ef567890");
    let new = world.version(2).released("1.4.3\u{1b}[31m", "cd34");
    world.push(&old, "app").await;
    for name in ["web", "shop"] {
        world.deploy(name, "app").await;
    }
    let controller = world.controller("").await;
    controller.until_all("UpToDate", 2).await;
    assert_eq!(blobs(&world), [""; 0], "a quiet check reads none");

    world.push(&new, "app").await;
    for name in ["web", "shop"] {
        let note = world.until_event(name, "RolloutTriggered").await;
        let (from, to) = note.split_once(" is now ").expect("from and to");
        let digest = |image: &Image| image.digest().to_string()[..19].to_owned();
        let expected = format!(
            "container app: 1.4.2 ({}, commit ab12cd34ef56)",
            digest(&old)
        );
        assert_eq!(from, expected);
        assert_eq!(to, format!("1.4.3[31m ({}, commit cd34)", digest(&new)));
        let note = world.until_event(name, "RolloutCompleted").await;
        assert!(note.contains("runs 1.4.3[31m (sha256:"), "{note}");
    }
    let mut read = blobs(&world);
    read.sort();
    let mut expected = [old, new].map(|image| {
        let (repository, config) = (world.namespace.name(), image.config_digest());
        format!("/v2/{repository}/blobs/{config}")
    });
    expected.sort();
    assert_eq!(read, expected, "one of each image, for both workloads");
}

#[tokio::test]
async fn annotations_of_an_index_save_the_request_for_a_configuration() {
    let world = World::new("annotated").await;
    let index = |version: u32, name: &str| {
        let image = world.version(version).released("of the config", "0");
        let index = ImageIndex::of([image]);
        index.annotation("org.opencontainers.image.version", name)
    };
    world.push(&index(1, "1.4.2"), "app").await;
    world.deploy("web", "app").await;
    let controller = world.controller("").await;
    controller.until_all("UpToDate", 1).await;
    world.push(&index(2, "1.4.3"), "app").await;
    let note = world.until_event("web", "RolloutTriggered").await;
    assert!(
        note.contains(": 1.4.2 (sha256:") && note.contains("is now 1.4.3 (sha256:"),
        "{note}"
    );
    assert_eq!(blobs(&world), [""; 0]);
}

#[tokio::test]
async fn a_storage_of_blobs_that_hangs_holds_no_rollout_up() {
    let world = World::new("no-blobs").await;
    let registry = FaultProxy::start(world.testbed.registry().host()).await;
    let registry = registry.expect("a port");
    let own = world.testbed.registry().host();
    let image = world.image("app").replace(own, registry.host());
    world.push(&world.version(1), "app").await;
    let web = Deployment::named("web").container("app", &image);
    world.create(web.labelled()).await;
    world.rolled_out("web").await;
    let controller = world.controller("").await;
    controller.until_all("UpToDate", 1).await;
    registry.set(Mode::WithholdsBlobs);
    world.push(&world.version(2), "app").await;
    let completed = world.until_event("web", "RolloutCompleted").await;
    assert!(completed.contains("runs sha256:"), "{completed}");
    let note = world.until_event("web", "RolloutTriggered").await;
    assert!(note.contains("container app: sha256:"), "{note}");
    assert_eq!(world.patches(), 1);
}
