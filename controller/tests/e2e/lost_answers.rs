//! The API server takes a patch, and its answer does not arrive: the rollout is ours all the same, reported once and counted
//! once.

use std::time::Duration;

use http::StatusCode;
use k8s_openapi::api::apps::v1::Deployment;
use kube::api::DeleteParams;
use kube_autorollout_testbed::{gateway::Loss, workload::eventually};

use crate::{
    harness::{Controller, SOON, World},
    limits::Rollouts,
    metrics::Metrics,
    way::{at, behind_gateway, gateway},
};

/// The rollouts of a controller by their outcomes: triggered, completed, conflict, failed.
fn outcomes(metrics: &Metrics) -> [u64; 4] {
    ["triggered", "completed", "conflict", "failed"].map(|outcome| metrics.rollouts(outcome))
}

/// Every rollout was reported as such, and nothing else was.
async fn is_told_once_each(world: &World, controller: &Controller, names: &[&str], each: usize) {
    let total = u64::try_from(names.len() * each).expect("a few");
    let completed = |metrics: &Metrics| outcomes(metrics)[1] == total;
    let metrics = controller.until("completed rollouts", completed).await;
    assert_eq!(outcomes(&metrics), [total, total, 0, 0]);
    for name in names {
        world.until_events(name, "RolloutCompleted", each).await;
        let event = |reason| world.events(name, reason);
        assert_eq!(event("RolloutTriggered").await.len(), each, "{name}");
        assert_eq!(event("RolloutFailed").await.len(), 0, "{name}");
    }
    assert_eq!(world.patches(), names.len() * each);
}

#[tokio::test]
async fn a_patch_whose_answer_is_lost_on_the_way_is_recognised_as_our_own() {
    let world = World::new("lost-answer").await;
    world.push(&world.version(1), "app").await;
    let names = ["web", "api"];
    for name in names {
        world.deploy(name, "app").await;
    }
    let gateway = gateway(&world).await;
    let limited = "rollouts: { maxConcurrent: 1 }";
    let controller = at(&world, gateway.url(), "/readyz", limited).await;
    controller.until_all("UpToDate", 2).await;

    let losses = [
        Loss::Status(StatusCode::GATEWAY_TIMEOUT),
        Loss::Status(StatusCode::SERVICE_UNAVAILABLE),
        Loss::Status(StatusCode::BAD_GATEWAY),
        Loss::Status(StatusCode::INTERNAL_SERVER_ERROR),
        Loss::Broken,
        Loss::Repeated,
    ];
    for (each, loss) in (1..).zip(losses) {
        gateway.lose_patch(loss);
        let version = 1 + u32::try_from(each).expect("a few");
        let slow = world.version(version).download(Duration::from_secs(1));
        let (rollouts, ()) = tokio::join!(Rollouts::watched(&world, 2), world.push(&slow, "app"));
        assert_eq!(rollouts.most_in_flight, 1, "{loss:?}");
        world.until_running(&world.marker(version), 2).await;
        is_told_once_each(&world, &controller, &names, each).await;
    }
    let log = controller.log();
    assert!(
        !log.contains("the workload was changed concurrently"),
        "{log}"
    );
}

#[tokio::test]
async fn a_patch_that_is_not_answered_in_time_is_recognised_as_our_own() {
    let (world, gateway, controller) = behind_gateway("late-answer").await;
    gateway.answer_patches(false);
    world.push(&world.version(2), "app").await;
    world.until_event("web", "RolloutTriggered").await;
    gateway.answer_patches(true);
    is_told_once_each(&world, &controller, &["web"], 1).await;
}

#[tokio::test]
async fn a_patch_whose_answer_is_lost_in_an_outage_is_recognised_when_a_watch_shows_the_workload() {
    let (world, gateway, controller) = behind_gateway("lost-outage").await;
    gateway.deliver_watches(false); // or the Event is written, and lost, in the outage
    gateway.answer_patches(false);
    gateway.lose_patch(Loss::Broken);
    world.push(&world.version(2), "app").await;
    let taken = eventually(SOON, "a patch", async || match world.patches() {
        0 => Err("none yet".to_owned()),
        _ => Ok(()),
    });
    taken.await.unwrap_or_else(|error| panic!("{error}"));
    gateway.go_away(true);
    gateway.answer_patches(true);
    controller
        .until_logged(&["WARN", "/web", "the response to the patch was lost"])
        .await;
    assert_eq!(world.events("web", "RolloutFailed").await.len(), 0);
    gateway.deliver_watches(true);
    gateway.go_away(false);
    world.until_running(&world.marker(2), 1).await;
    is_told_once_each(&world, &controller, &["web"], 1).await;
}

#[tokio::test]
async fn a_workload_that_is_deleted_before_our_patch_comes_is_no_failure() {
    let (world, gateway, controller) = behind_gateway("deleted-meanwhile").await;
    // The watch does not show the deletion before the patch has been answered.
    gateway.deliver_watches(false);
    gateway.delay("pods", Duration::from_secs(2));
    let before = world.pod_lists();
    world.push(&world.version(2), "app").await;
    world.until_pod_list(before).await;
    let deployments = world.namespace.api::<Deployment>();
    let now = DeleteParams::default();
    deployments.delete("web", &now).await.expect("deleted");
    let refused = eventually(SOON, "a patch of what is gone", async || {
        let requests = world.requests();
        let mut patches = requests.iter().filter(|request| request.verb == "patch");
        let gone = patches.any(|request| request.code == 404);
        gone.then_some(()).ok_or_else(|| format!("{requests:?}"))
    });
    refused.await.unwrap_or_else(|error| panic!("{error}"));
    // As long as it is selected, its namespace has its series.
    assert_eq!(outcomes(&controller.metrics().await), [0, 0, 0, 0]);
    gateway.deliver_watches(true);
    let gone = |metrics: &Metrics| metrics.states().is_empty();
    controller.until("no workload", gone).await;
    assert_eq!(world.events("web", "RolloutFailed").await.len(), 0);
    let log = controller.log();
    assert!(!log.contains("WARN"), "{log}");
}

/// An admission webhook may refuse with the code of a conflict, and one that fails makes the API server answer with 500: no
/// change of the workload would help, so it is a failure like any other refusal.
#[tokio::test]
async fn a_refusal_that_is_for_no_change_of_the_workload_is_reported_as_a_failure() {
    let (world, gateway, controller) = behind_gateway("refused").await;
    for (each, status) in [
        (1, StatusCode::CONFLICT),
        (2, StatusCode::INTERNAL_SERVER_ERROR),
    ] {
        gateway.lose_patch(Loss::Withheld(status));
        world.push(&world.version(each + 1), "app").await;
        let each = u64::from(each);
        let completed = |metrics: &Metrics| outcomes(metrics)[1] == each;
        let metrics = controller.until("a completed rollout", completed).await;
        assert_eq!(outcomes(&metrics), [each, each, 0, each], "{status}");
    }
    assert_eq!(world.events("web", "RolloutFailed").await.len(), 2);
    assert_eq!(world.events("web", "RolloutTriggered").await.len(), 2);
    assert_eq!(world.patches(), 2);
}

/// The patch may still arrive, so no failure is reported.
#[tokio::test]
async fn a_patch_that_a_load_balancer_keeps_to_itself_is_sent_again_and_no_failure() {
    let (world, gateway, controller) = behind_gateway("withheld").await;
    gateway.lose_patch(Loss::Withheld(StatusCode::SERVICE_UNAVAILABLE));
    world.push(&world.version(2), "app").await;
    is_told_once_each(&world, &controller, &["web"], 1).await;
}
