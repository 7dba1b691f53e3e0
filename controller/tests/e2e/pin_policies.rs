//! Pods that should be pinned and are not: the policy is missing, fails or was deleted, or another one undoes what it does.

use kube_autorollout_core::state::{Reason, State};
use kube_autorollout_testbed::{
    admission::{ImagePolicy, PinPolicy},
    workload::{Deployment, eventually},
};
use serde_json::json;

use crate::{
    clock::Clock,
    harness::{Controller, SOON, World},
    kinds::{self, KINDS},
    metrics::Metrics,
    pinning::{self, PINNING, images, put_in_force, replace_pods, rolls_out},
    reported::{until_decided, until_reported},
};

#[tokio::test]
async fn pods_that_no_policy_pins_are_reported_once() {
    reports_pods_without_their_pin_once(World::new("not-pinned").await).await;
}

/// The API server neither logs nor counts errors of a policy that ignores them.
#[tokio::test]
async fn pods_for_which_the_policy_fails_start_as_they_are_and_are_reported() {
    let world = World::new("policy-fails").await;
    put_failing_in_force(&world, "Ignore").await;
    reports_pods_without_their_pin_once(world).await;
}

/// Two rollouts of pods that are not pinned, until the policy is right.
async fn reports_pods_without_their_pin_once(world: World) {
    world.push(&world.version(1), "app").await;
    world.deploy("web", "app").await;
    let controller = world.controller(PINNING).await;
    controller.until_all("UpToDate", 1).await;
    rolls_out(&world, &controller, 2, 1).await;
    let (state, reason) = (State::UpToDate, Reason::NotPinned);
    until_reported(&world, &controller, "web", state, reason).await;
    let note = world.until_event("web", "NotPinned").await;
    assert!(note.contains(&world.image("app")), "{note}");
    assert_eq!(images(&world, "app").await, [world.image("app")]);
    rolls_out(&world, &controller, 3, 1).await;
    writes_nothing(&world, &controller).await;
    assert_eq!(world.patches(), 2);
    assert_eq!(world.events("web", "NotPinned").await.len(), 1);
    let metrics = controller.metrics().await;
    assert_eq!(metrics.of_web("workload_pinned"), Some(0.0));

    withdraw(&world).await;
    put_in_force(&world).await;
    replace_pods(&world).await;
    world.until_running(&world.marker(3), 1).await;
    until_pinned(&controller).await;
    assert_eq!(world.patches(), 2);
}

/// A policy of one's own may do that; the chart's ignores its errors.
#[tokio::test]
async fn pods_that_a_failing_policy_refuses_are_a_rollout_that_does_not_converge() {
    for kind in KINDS {
        refuses_pods(kind).await;
    }
}

async fn refuses_pods(kind: &str) {
    let Some(clock) = Clock::new() else { return };
    let world = World::new(&format!("refuses-{kind}")).await;
    put_failing_in_force(&world, "Fail").await;
    world.push(&world.version(1), "app").await;
    let web = Deployment::named("web").container("app", &world.image("app"));
    let pods = kinds::create(&world, kind, web.progress_deadline(5)).await;
    world.until_running(&world.marker(1), pods).await;
    let controller = clock.controller(&world, PINNING).await;
    controller.until_all("UpToDate", 1).await;
    world.push(&world.version(2), "app").await;
    controller.until_all("RollingOut", 1).await;
    clock.set(11 * 60); // other kinds have no deadline of their own
    let reason = Reason::ProgressDeadlineExceeded;
    until_reported(&world, &controller, "web", State::NotConverging, reason).await;
    writes_nothing(&world, &controller).await;
    let left = vec![world.marker(1); pods - usize::from(kind != "deployments")];
    assert_eq!(world.markers(), left, "of the old template");
    assert_eq!(world.patches(), 1, "{kind}");
    let notes = world.events("web", "NotConverging").await;
    let [note] = &notes[..] else {
        panic!("{notes:?}")
    };
    assert!(note.contains("Events of the ReplicaSet"), "{note}");
    assert_eq!(world.events("web", "NotPinned").await, [""; 0]);

    withdraw(&world).await;
    world.until_running(&world.marker(2), pods).await;
    world.until_event("web", "NotPinned").await;
    rolls_out(&world, &controller, 3, pods).await;
    assert_eq!(world.patches(), 2, "{kind}");
}

#[tokio::test]
async fn pods_that_are_created_after_the_policy_was_deleted_are_reported_beside_a_pinned_one() {
    let (world, controller) = pinning::web("policy-deleted", "").await;
    kinds::hold(&world, "deployments", "web", Some("true")).await;
    world.push(&world.version(3), "app").await;
    controller.until_all("Held", 1).await;
    withdraw(&world).await;
    let [pinned, not] = [2, 3].map(|version| world.marker(version));
    for replicas in 2..=3 {
        let scaled = json!({ "spec": { "replicas": replicas } });
        world.patch("web", scaled).await;
        let expected = [vec![pinned.clone()], vec![not.clone(); replicas - 1]];
        world.until_markers(expected.concat()).await;
        world.until_event("web", "NotPinned").await;
        writes_nothing(&world, &controller).await;
    }
    let metrics = controller.until_all("Held", 1).await;
    assert_eq!(metrics.of_web("workload_pinned"), Some(0.0));
    assert_eq!(world.events("web", "NotPinned").await.len(), 1);

    put_in_force(&world).await;
    replace_pods(&world).await;
    world.until_running(&pinned, 3).await;
    until_pinned(&controller).await;
    assert_eq!(world.patches(), 1);
}

#[tokio::test]
async fn pods_whose_template_asks_for_no_pins_run_the_tag_and_are_not_reported() {
    let world = pinning::world("no-pins").await;
    world.push(&world.version(1), "app").await;
    let web = Deployment::named("web").container("app", &world.image("app"));
    let web = web.template_annotation("kube-autorollout/pin", "false");
    world.create(web.labelled()).await;
    world.rolled_out("web").await;
    let controller = world.controller(PINNING).await;
    controller.until_all("UpToDate", 1).await;
    rolls_out(&world, &controller, 2, 1).await;
    writes_nothing(&world, &controller).await;
    assert_eq!(images(&world, "app").await, [world.image("app")]);
    assert_eq!(world.events("web", "NotPinned").await, [""; 0]);
    let metrics = controller.metrics().await;
    assert_eq!(metrics.of_web("workload_pinned"), None);
    rolls_out(&world, &controller, 3, 1).await;
    assert_eq!(world.patches(), 2);
}

#[tokio::test]
async fn a_workload_that_is_to_have_no_pins_any_more_has_no_pinned_series() {
    let (world, controller) = pinning::web("pins-ended", "").await;
    let is_known = |metrics: &Metrics| metrics.of_web("workload_pinned").is_some();
    controller.until("a pinned series", is_known).await;
    let unpinned = json!({ "spec": { "template": { "metadata": { "annotations": {
        "kube-autorollout/pin": "false",
    }}}}});
    world.patch("web", unpinned).await;
    controller
        .until("no pinned series", |metrics| !is_known(metrics))
        .await;
}

#[tokio::test]
async fn pods_to_which_another_policy_gives_another_image_are_reported() {
    let world = World::new("rewritten-pin").await;
    put_in_force(&world).await;
    let (host, own) = (world.testbed.registry().host(), world.namespace.name());
    let mirror = format!("mirror-of-{own}");
    let push = async |version: u32| {
        world.push(&world.version(version), "app").await;
        let image = world.version(version);
        let pushed = world.pusher.push(&image, &mirror, "app").await;
        pushed.expect("pushed");
    };
    push(1).await;
    world.deploy("web", "app").await;
    let controller = world.controller(PINNING).await;
    controller.until_all("UpToDate", 1).await;
    // It drops the digest of what it rewrites
    let from = format!("{host}/{own}:app");
    let policy = ImagePolicy::fill_in("rewrite", &from, &format!("{host}/{mirror}:app"));
    let put = policy.put_in_force(&world.namespace).await;
    put.unwrap_or_else(|error| panic!("{error}"));
    push(2).await;
    world.until_running(&world.marker(2), 1).await;
    controller.until_all("UpToDate", 1).await;
    controller.checks("web", 3).await;
    let images = images(&world, "app").await;
    let is_pinned = images.iter().all(|image| image.contains('@'));
    let reported = world.events("web", "NotPinned").await.len();
    assert_eq!(reported, usize::from(!is_pinned), "{images:?}");
    push(3).await;
    world.until_running(&world.marker(3), 1).await;
    controller.until_all("UpToDate", 1).await;
    controller.checks("web", 3).await;
    assert_eq!(world.patches(), 2);
}

/// The policy is in force, and fails for the pods of workloads.
async fn put_failing_in_force(world: &World, failure_policy: &str) {
    let policy = PinPolicy::failing(failure_policy).expect("a policy");
    let put = policy.put_in_force(&world.namespace).await;
    put.unwrap_or_else(|error| panic!("{error}"));
}

async fn withdraw(world: &World) {
    let withdrawn = PinPolicy::withdraw(&world.namespace).await;
    withdrawn.unwrap_or_else(|error| panic!("{error}"));
}

/// Waits until nothing is changed and no Event written in five checks, once all is reported.
async fn writes_nothing(world: &World, controller: &Controller) {
    let writes = || {
        let mut requests = world.requests();
        requests.retain(|request| !["get", "list", "watch"].contains(&&*request.verb));
        requests.len()
    };
    let quiet = eventually(SOON, "five quiet checks", async || {
        let before = writes();
        until_decided(controller, 5).await;
        let more = writes() - before;
        (more == 0).then_some(()).ok_or_else(|| more.to_string())
    });
    quiet.await.unwrap_or_else(|error| panic!("{error}"));
}

async fn until_pinned(controller: &Controller) {
    let is_pinned = |metrics: &Metrics| metrics.of_web("workload_pinned") == Some(1.0);
    controller.until("pinned pods", is_pinned).await;
}
