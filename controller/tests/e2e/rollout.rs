//! A tag moves, and the workload is rolled out: once.

use std::time::Duration;

use kube_autorollout_core::state::{Reason, State};
use kube_autorollout_testbed::{image::Image, workload};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::{harness::World, metrics::Metrics};

/// The annotations that the controller writes on the pod template.
fn annotations(
    deployment: &k8s_openapi::api::apps::v1::Deployment,
) -> (Option<String>, Option<Value>) {
    let template = deployment
        .spec
        .as_ref()
        .and_then(|spec| spec.template.metadata.as_ref());
    let annotations = template.and_then(|metadata| metadata.annotations.as_ref());
    let annotation = |key: &str| {
        annotations
            .and_then(|annotations| annotations.get(key))
            .cloned()
    };
    let digests = annotation("kube-autorollout/digests");
    let digests = digests.map(|text| serde_json::from_str(&text).expect("a JSON object"));
    (annotation("kube-autorollout/restartedAt"), digests)
}

#[tokio::test]
async fn a_push_under_the_same_tag_rolls_out_exactly_once() {
    let world = World::new("once").await;
    let (old, new) = (Image::new("once-1"), Image::new("once-2"));
    let side = Image::new("once-side");
    world.push(&old, "app").await;
    world.push(&side, "side").await;
    let web = workload::Deployment::named("web").replicas(3).labelled();
    let web = web
        .container("app", &world.image("app"))
        .container("side", &world.image("side"));
    world.create(web).await;
    world.rolled_out("web").await;
    let controller = world.controller("").await;
    controller.until_all("UpToDate", 1).await;

    world.push(&new, "app").await;
    controller.until_completed(1).await;
    for (state, reason) in [
        (State::RollingOut, Reason::InFlight),
        (State::UpToDate, Reason::Current),
    ] {
        let reason = format!("reason=\"{reason}\"");
        controller
            .until_logged(&["decided", "/web ", &format!("state={state} "), &reason])
            .await;
    }
    let metrics = controller.until_all("UpToDate", 1).await;
    controller.checks("web", 3).await;

    assert_eq!(metrics.rollouts("triggered"), 1);
    assert_eq!(metrics.rollouts("completed"), 1);
    assert_eq!(
        metrics.value("workload_outdated", &[("name", "web")]),
        Some(0.0)
    );
    assert_eq!(
        metrics.value("rollout_duration_seconds_count", &[]),
        Some(1.0)
    );
    assert_eq!(world.patches(), 1);
    let (restarted_at, digests) = annotations(&world.deployment("web").await);
    assert!(restarted_at.is_some_and(|at| at.parse::<jiff::Timestamp>().is_ok()));
    assert_eq!(digests, Some(json!({ "app": new.digest().to_string() })));
    let short = |image: &Image| image.digest().to_string()[..19].to_owned();
    let note = world.until_event("web", "RolloutTriggered").await;
    assert!(
        note.contains(&short(&old)) && note.contains(&short(&new)) && note.contains("app"),
        "{note}"
    );
    let note = world.until_event("web", "RolloutCompleted").await;
    assert!(note.contains(&short(&new)), "{note}");
    let mut running = world.markers();
    running.dedup();
    assert_eq!(running, ["once-2", "once-side"]);
}

#[tokio::test]
async fn a_push_while_the_controller_was_away_is_rolled_out_at_its_first_check() {
    let (world, controller) = World::with_web("away", "interval: 1h").await;
    assert_eq!(controller.stop().await, Some(0));

    world.push(&world.version(2), "app").await;
    controller.start().await;
    world.until_running(&world.marker(2), 1).await;
    controller.until_completed(1).await;
    assert_eq!(world.patches(), 1);
}

#[tokio::test]
async fn a_controller_killed_right_after_the_patch_does_not_roll_out_again() {
    let (world, controller) = World::with_web("killed", "").await;

    let before = world.deployment("web").await.metadata.generation;
    let slow = world.version(2).download(Duration::from_secs(2));
    world.push(&slow, "app").await;
    world
        .until("web", |deployment| deployment.metadata.generation > before)
        .await;
    controller.kill();
    controller.start().await;
    world.until_running(&world.marker(2), 1).await;
    controller.until_all("UpToDate", 1).await;
    controller.checks("web", 3).await;
    assert_eq!(world.patches(), 1);
    assert_eq!(controller.metrics().await.rollouts("completed"), 1);
}

#[tokio::test]
async fn two_containers_whose_tags_move_at_once_are_rolled_out_together() {
    let world = World::new("both").await;
    world.push(&Image::new("both-a1"), "a").await;
    world.push(&Image::new("both-b1"), "b").await;
    let web = workload::Deployment::named("web").labelled();
    world
        .create(
            web.container("a", &world.image("a"))
                .container("b", &world.image("b")),
        )
        .await;
    world.rolled_out("web").await;
    let controller = world.controller("interval: 1h").await;
    controller.until_all("UpToDate", 1).await;
    assert_eq!(controller.stop().await, Some(0));

    world.push(&Image::new("both-a2"), "a").await;
    world.push(&Image::new("both-b2"), "b").await;
    controller.start().await;
    controller.until_completed(1).await;
    assert_eq!(world.markers(), ["both-a2", "both-b2"]);
    assert_eq!(world.patches(), 1);
}

#[tokio::test]
async fn a_slow_download_is_waited_for() {
    let (world, controller) = World::with_web("slow", "").await;

    world
        .push(&world.version(2).download(Duration::from_secs(5)), "app")
        .await;
    let metrics = controller.until_all("RollingOut", 1).await;
    assert_eq!(
        metrics.value("workload_outdated", &[("name", "web")]),
        Some(1.0)
    );
    world.until_running(&world.marker(2), 1).await;
    controller.until_all("UpToDate", 1).await;
    assert_eq!(world.patches(), 1);
}

#[tokio::test]
async fn a_controller_manager_that_lags_causes_no_second_patch() {
    let (world, controller) = World::with_web("lag", "").await;

    let control_plane = world.testbed.control_plane();
    control_plane
        .pause_controller_manager()
        .await
        .expect("paused");
    world.push(&world.version(2), "app").await;
    controller
        .until("a rollout", |metrics| metrics.rollouts("triggered") > 0)
        .await;
    // A third image, which must wait until the controller-manager has seen the patch.
    world.push(&world.version(3), "app").await;
    controller.until_all("RollingOut", 1).await;
    assert_eq!(world.patches(), 1);
    // Nothing can be seen meanwhile, so it is polled once a tick and no more often.
    let begun = Instant::now();
    let reconciles = |metrics: &Metrics| metrics.sum("reconciliations_total", &[]);
    let before = reconciles(&controller.metrics().await);
    controller
        .until("six ticks", |metrics| reconciles(metrics) >= before + 6.0)
        .await;
    assert!(begun.elapsed() > Duration::from_secs(4), "it spins");
    control_plane
        .resume_controller_manager()
        .await
        .expect("resumed");
    world.until_running(&world.marker(3), 1).await;
    controller.until_all("UpToDate", 1).await;
    assert!(world.patches() <= 2, "at most one for each image");
}

#[tokio::test]
async fn an_edit_at_the_same_moment_stays_intact() {
    let (world, controller) = World::with_web("edit", "").await;

    let edit = json!({ "spec": { "template": { "spec": { "containers": [
        { "name": "app", "image": world.image("app"), "imagePullPolicy": "Always", "env": [{ "name": "EDITED", "value": "yes" }] },
    ]}}}});
    let new = world.version(2);
    tokio::join!(world.push(&new, "app"), world.patch("web", edit));
    world.until_running(&world.marker(2), 1).await;
    controller.until_all("UpToDate", 1).await;
    controller.checks("web", 2).await;

    let deployment = world.deployment("web").await;
    let containers = deployment
        .spec
        .and_then(|spec| spec.template.spec)
        .map(|pod| pod.containers);
    let names = containers
        .into_iter()
        .flatten()
        .flat_map(|container| container.env.unwrap_or_default());
    assert_eq!(
        names.map(|variable| variable.name).collect::<Vec<_>>(),
        ["EDITED"]
    );
    assert!(
        world.patches() <= 1,
        "the edit alone may have brought the new image"
    );
}

#[tokio::test]
async fn the_kubectl_annotation_is_written_when_it_is_asked_for() {
    let world = World::new("kubectl").await;
    world.push(&world.version(1), "app").await;
    world.deploy("web", "app").await;
    let controller = world
        .controller("featureFlags: { enableKubectlAnnotation: true }")
        .await;
    world.push(&world.version(2), "app").await;
    controller.until_completed(1).await;
    let deployment = world.deployment("web").await;
    let template = deployment.spec.and_then(|spec| spec.template.metadata);
    let annotations = template
        .and_then(|metadata| metadata.annotations)
        .unwrap_or_default();
    let keys: Vec<_> = annotations.keys().map(String::as_str).collect();
    assert_eq!(
        keys,
        [
            "kube-autorollout/digests",
            "kubectl.kubernetes.io/restartedAt"
        ]
    );
}
