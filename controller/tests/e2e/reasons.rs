//! Reasons that no other test comes by, each as a user would see it.

use kube_autorollout_core::state::{Reason, State};
use kube_autorollout_testbed::{
    image::{Behaviour, ImageIndex},
    workload,
};
use serde_json::json;

use crate::{
    harness::{Controller, World},
    reported::until_reported,
};

#[tokio::test]
async fn a_rollout_that_fails_is_reported_with_its_pod_long_before_the_next_tick() {
    let (world, controller) = World::with_web("fails", "interval: 1h").await;
    assert_eq!(controller.stop().await, Some(0));
    let crashes = world.version(2).behaviour(Behaviour::Crashes);
    world.push(&crashes, "app").await;
    controller.start().await;
    let metrics = controller.until_all("NotConverging", 1).await;
    assert_eq!(metrics.rollouts("not_converging"), 1);
    let note = world.until_event("web", "NotConverging").await;
    assert!(note.contains("CrashLoopBackOff in pod web-"), "{note}");
}

/// The Deployment `web` with a progress deadline of a few seconds, and a controller that finds it up to date.
pub(crate) async fn with_deadline(hint: &str, configuration: &str) -> (World, Controller) {
    let world = World::new(hint).await;
    world.push(&world.version(1), "app").await;
    let web = workload::Deployment::named("web")
        .container("app", &world.image("app"))
        .progress_deadline(5);
    world.create(web.labelled()).await;
    world.rolled_out("web").await;
    let controller = world.controller(configuration).await;
    controller.until_all("UpToDate", 1).await;
    (world, controller)
}

#[tokio::test]
async fn a_rollout_that_takes_too_long_is_reported_with_its_deadline() {
    let (world, controller) = with_deadline("deadline", "").await;
    let stuck = world.version(2).behaviour(Behaviour::NeverReady);
    world.push(&stuck, "app").await;
    let reason = Reason::ProgressDeadlineExceeded;
    until_reported(&world, &controller, "web", State::NotConverging, reason).await;
    controller.checks("web", 3).await;
    assert_eq!(world.patches(), 1);
}

#[tokio::test]
async fn a_record_that_the_pods_do_not_follow_is_reported_and_left_alone() {
    for (hint, policy, reason) in [
        ("alias", "Always", Reason::RuntimeReportsAlias),
        ("cached", "IfNotPresent", Reason::PullPolicy),
    ] {
        let world = World::new(hint).await;
        world.push(&world.version(1), "app").await;
        let web = workload::Deployment::named("web")
            .container("app", &world.image("app"))
            .pull_policy(policy);
        world.create(web.labelled()).await;
        // As if it had been rolled out already: a manifest that was copied from another cluster.
        let new = world.version(2);
        let record = json!({ "app": new.digest().to_string() }).to_string();
        let annotations = json!({ "kube-autorollout/digests": record });
        let template =
            json!({ "spec": { "template": { "metadata": { "annotations": annotations } } } });
        world.patch("web", template).await;
        world.rolled_out("web").await;
        world.push(&new, "app").await;
        let controller = world.controller("").await;
        until_reported(&world, &controller, "web", State::NotConverging, reason).await;
        let metrics = controller.until_all("NotConverging", 1).await;
        let outdated = metrics.value("workload_outdated", &[("name", "web")]);
        assert_eq!(outdated, Some(1.0));
        controller.checks("web", 2).await;
        assert_eq!(world.patches(), 0);
    }
}

#[tokio::test]
async fn a_workload_of_which_every_container_is_left_out_or_pinned_says_so() {
    let world = World::new("left-out").await;
    let old = world.version(1);
    world.push(&old, "app").await;
    let pinned = format!("{}@{}", world.image("app"), old.digest());
    let excluded = workload::Deployment::named("excluded")
        .container("app", &world.image("app"))
        .container("pinned", &pinned)
        .annotation("kube-autorollout/exclude-containers", "app");
    world.create(excluded.labelled()).await;
    world.rolled_out("excluded").await;
    let controller = world.controller("").await;
    let state = State::Skipped;
    until_reported(&world, &controller, "excluded", state, Reason::Excluded).await;
    assert_eq!(world.patches(), 0);
}

#[tokio::test]
async fn an_index_without_the_platform_that_counts_is_no_reason_to_roll_out() {
    let world = World::new("platform").await;
    world.push(&ImageIndex::of([world.version(1)]), "app").await;
    world.deploy("web", "app").await;
    let controller = world.controller("platforms: [linux/s390x]").await;
    controller.until_all("UpToDate", 1).await;
    world.push(&ImageIndex::of([world.version(2)]), "app").await;
    let reason = Reason::NoMatchingPlatform;
    until_reported(&world, &controller, "web", State::Unknown, reason).await;
    assert_eq!(world.patches(), 0);
}
