//! Interrupted work resumes by itself: a check that failed, and a rollout that was paused.

use std::time::Duration;

use http::StatusCode;
use kube_autorollout_testbed::{
    fault_proxy::{FaultProxy, Mode},
    workload,
};
use serde_json::json;

use crate::harness::World;

#[tokio::test]
async fn a_check_that_failed_is_repeated_long_before_the_next_tick() {
    let world = World::new("daily").await;
    world.push(&world.version(1), "app").await;
    let registry = FaultProxy::start(world.testbed.registry().host()).await;
    let registry = registry.expect("a port");
    let image = world
        .image("app")
        .replace(world.testbed.registry().host(), registry.host());
    let web = workload::Deployment::named("web").container("app", &image);
    world.create(web.labelled()).await;
    world.rolled_out("web").await;
    registry.set(Mode::Refuses(StatusCode::SERVICE_UNAVAILABLE));
    let controller = world.controller("interval: 24h").await;
    controller.until_all("Unknown", 1).await;

    world.push(&world.version(2), "app").await;
    registry.set(Mode::Healthy);
    world.until_running(&world.marker(2), 1).await;
    controller.until_all("UpToDate", 1).await;
    assert_eq!(world.patches(), 1);
}

#[tokio::test]
async fn a_rollout_that_is_paused_is_followed_to_its_end_once_it_is_resumed() {
    let (world, controller) = World::with_web("paused-rollout", "interval: 1s").await;
    let slow = world.version(2).download(Duration::from_secs(3));
    world.push(&slow, "app").await;
    world.until_event("web", "RolloutTriggered").await;
    world
        .patch("web", json!({ "spec": { "paused": true } }))
        .await;
    controller.until_all("Paused", 1).await;
    assert_eq!(world.events("web", "RolloutCompleted").await, [""; 0]);
    world
        .patch("web", json!({ "spec": { "paused": false } }))
        .await;
    let completed = world.until_event("web", "RolloutCompleted").await;
    assert!(completed.contains("container app runs"), "{completed}");
    assert_eq!(world.patches(), 1);
}
