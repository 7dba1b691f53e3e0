//! Pins: what a rollout brings is what pods run, whatever the tag names when they are created.

use kube_autorollout_core::Digest;
use kube_autorollout_testbed::{image::ImageIndex, receiver::Receiver, workload::Deployment};
use serde_json::{Value, json};

use crate::{
    harness::{Controller, World},
    kinds,
    metrics::Metrics,
    notifications::{configuration, messages},
    pinning::{self, PINNING, images, pins, replace_pods, rolls_out},
};

/// `web`, of whose containers one is of an index and the others of single manifests: `app`, `side` and `early` with a tag,
/// `plain` without, `own` with a digest, and `left-out`, which is not checked. All but the first name the same image.
async fn mixed(hint: &str) -> (World, Controller, String) {
    let world = pinning::world(hint).await;
    let fixed = world.version(8);
    world.push(&ImageIndex::of([world.version(1)]), "app").await;
    for tag in ["latest", "init", "fixed"] {
        world.push(&fixed, tag).await;
    }
    let plain = world.image("latest").replace(":latest", "");
    let web = Deployment::named("web")
        .container("app", &world.image("app"))
        .container("plain", &plain)
        .container(
            "own",
            &format!("{}@{}", world.image("fixed"), fixed.digest()),
        )
        .sidecar("side", &world.image("fixed"))
        .init_container("early", &world.image("fixed"))
        .init_container("left-out", &world.image("init"))
        .annotation(
            "kube-autorollout/containers",
            "app, plain, own, side, early",
        );
    world.create(web.labelled()).await;
    world.rolled_out("web").await;
    let controller = world.controller(PINNING).await;
    controller.until_all("UpToDate", 1).await;
    (world, controller, plain)
}

async fn assert_images(world: &World, expected: &[(&str, &str, Digest)]) {
    for (container, image, digest) in expected {
        let image = format!("{image}@{digest}");
        assert_eq!(images(world, container).await, [image], "{container}");
    }
    let left_out = images(world, "left-out").await;
    assert_eq!(left_out, [world.image("init")], "no pin");
}

#[tokio::test]
async fn a_rollout_pins_every_container_that_is_checked_and_no_other() {
    let (world, controller, plain) = mixed("pins").await;
    let web = world.deployment("web").await;
    assert_eq!(pins(&web), "", "nothing is rolled out to pin");
    let moved = ImageIndex::of([world.version(2)]);
    world.push(&moved, "app").await;
    until_rollouts(&controller, 1).await;
    let [app, side] = ["app", "fixed"].map(|tag| world.image(tag));
    let (moved, digest) = (moved.digest(), world.version(8).digest());
    let pin = |image: &str, digest: &Digest| format!("{image}@{digest}");
    let written = json!({
        "app": pin(&app, &moved),
        "early": pin(&side, &digest),
        "plain": pin(&plain, &digest),
        "side": pin(&side, &digest),
    });
    assert_eq!(pins(&world.deployment("web").await), written.to_string());
    let expected = [
        ("app", &*app, moved),
        ("plain", &plain, digest.clone()),
        ("side", &side, digest.clone()),
        ("early", &side, digest.clone()),
        ("own", &side, digest),
    ];
    assert_images(&world, &expected).await;
    controller.until_all("UpToDate", 1).await;
    controller.checks("web", 3).await;
    assert_eq!(world.patches(), 1);
    assert_eq!(world.events("web", "NotPinned").await, [""; 0]);
    let metrics = controller.metrics().await;
    assert_eq!(metrics.of_web("workload_pinned"), Some(1.0));
}

#[tokio::test]
async fn a_container_that_did_not_move_keeps_its_pin_when_another_is_rolled_out_and_is_held() {
    let (world, controller, plain) = mixed("pins-held").await;
    for (rollouts, version) in [(1, 2), (2, 3)] {
        world.push(&world.version(version), "fixed").await;
        until_rollouts(&controller, rollouts).await;
    }
    kinds::hold(&world, "deployments", "web", Some("true")).await;
    for tag in ["app", "latest", "init", "fixed"] {
        world.push(&world.version(4), tag).await;
    }
    controller.until_all("Held", 1).await;
    replace_pods(&world).await;
    let running = [1, 3, 8, 8].map(|version| world.marker(version));
    world.until_markers(running.to_vec()).await;
    let first = ImageIndex::of([world.version(1)]).digest();
    let [moved, fixed] = [3, 8].map(|version| world.version(version).digest());
    let expected = [
        ("app", &*world.image("app"), first),
        ("plain", &plain, fixed.clone()),
        ("side", &world.image("fixed"), moved.clone()),
        ("early", &world.image("fixed"), moved),
        ("own", &world.image("fixed"), fixed),
    ];
    assert_images(&world, &expected).await;
    controller.until_all("Held", 1).await;
    assert_eq!(world.patches(), 2);
    assert_eq!(world.events("web", "NotPinned").await, [""; 0]);
}

/// Waits until this many rollouts are complete.
async fn until_rollouts(controller: &Controller, rollouts: u64) {
    controller.until_completed(rollouts).await;
    controller.until_all("UpToDate", 1).await;
}

#[tokio::test]
async fn a_pinned_digest_that_is_gone_is_reported_once_and_rolls_nothing_out() {
    let receiver = Receiver::start().await.expect("a receiver");
    let sink = configuration(&receiver, &["pinnedDigestGone"]);
    let (world, controller) = pinning::web("pin-gone", &sink).await;
    kinds::hold(&world, "deployments", "web", Some("true")).await;
    world.push(&world.version(3), "app").await;
    controller.until_all("Held", 1).await;
    controller.checks("web", 3).await;
    assert_eq!(world.events("web", "PinnedDigestGone").await, [""; 0]);
    replace_pods(&world).await;
    world.until_running(&world.marker(2), 1).await;
    let registry = world.testbed.registry();
    let (repository, digest) = (world.namespace.name(), world.version(2).digest());
    let deleted = registry.delete_manifest(repository, &digest);
    deleted.expect("deleted");
    let note = world.until_event("web", "PinnedDigestGone").await;
    assert!(note.contains("container app"), "{note}");
    controller.checks("web", 5).await;
    let metrics = controller.until_all("Held", 1).await;
    assert_eq!(metrics.of_web("workload_pinned_digest_gone"), Some(1.0));
    assert_eq!(world.events("web", "PinnedDigestGone").await.len(), 1);
    let [message] = &*messages(&receiver, 1).await else {
        panic!("one message");
    };
    assert_eq!(message["event"], "pinnedDigestGone");
    assert_eq!(message["detail"], note);
    let container = &message["containers"][0];
    assert_eq!(container["image"], world.image("app"));
    assert_eq!(
        container["from"]["digest"],
        digest.to_string(),
        "{message:#}"
    );
    assert_eq!(world.patches(), 1);
    kinds::hold(&world, "deployments", "web", None).await;
    world.until_running(&world.marker(3), 1).await;
    let gone = |metrics: &Metrics| metrics.of_web("workload_pinned_digest_gone") == Some(0.0);
    controller.until("an end", gone).await;
}

#[tokio::test]
async fn pinned_pods_need_no_pull_policy_and_an_edited_image_is_as_without_pins() {
    let (world, controller) = pinning::web("pin-policy", "").await;
    let change = |container: Value| json!({ "spec": { "template": { "spec": { "containers": [container] } } } });
    let image = world.image("app");
    let cached = json!({ "name": "app", "image": image, "imagePullPolicy": "IfNotPresent" });
    world.patch("web", change(cached)).await;
    world.rolled_out("web").await;
    rolls_out(&world, &controller, 3, 1).await;
    assert_eq!(world.patches(), 2);
    assert_eq!(
        world.events("web", "ImagePullPolicyNotAlways").await,
        [""; 0]
    );

    world.push(&world.version(4), "next").await;
    let next = world.image("next");
    let edited = json!({ "name": "app", "image": next, "imagePullPolicy": "Always" });
    world.patch("web", change(edited)).await;
    world.until_running(&world.marker(4), 1).await;
    controller.until_all("UpToDate", 1).await;
    controller.checks("web", 3).await;
    assert_eq!(images(&world, "app").await, std::slice::from_ref(&next));
    assert_eq!(world.patches(), 2, "nothing is rolled out to pin it");
    assert_eq!(world.events("web", "NotPinned").await, [""; 0]);
    let metrics = controller.metrics().await;
    assert_eq!(metrics.of_web("workload_pinned"), Some(0.0));
    world.push(&world.version(5), "next").await;
    world.until_running(&world.marker(5), 1).await;
    let pinned = format!("{next}@{}", world.version(5).digest());
    assert_eq!(images(&world, "app").await, [pinned]);
}

/// Pins that are left behind would hold new pods back.
#[tokio::test]
async fn where_pinning_is_switched_off_the_next_rollout_takes_the_pins_away() {
    let (world, controller) = pinning::web("pin-off", "").await;
    assert_eq!(controller.stop().await, Some(0));
    let controller = world.controller("").await;
    controller.until_all("UpToDate", 1).await;
    rolls_out(&world, &controller, 3, 1).await;
    assert_eq!(pins(&world.deployment("web").await), "");
    assert_eq!(images(&world, "app").await, [world.image("app")]);
    assert_eq!(world.patches(), 2);
}
