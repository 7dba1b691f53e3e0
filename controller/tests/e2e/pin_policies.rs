//! Pods that should be pinned and are not: the policy is missing, fails or was deleted, or another one undoes what it does.

use kube_autorollout_core::state::{Reason, State};
use kube_autorollout_testbed::{admission::ImagePolicy, workload::eventually};

use crate::{
    harness::{Controller, SOON, World},
    metrics::Metrics,
    pinning::{PINNING, images, put_in_force, replace_pods, rolls_out},
    reported::{until_decided, until_reported},
};

#[tokio::test]
async fn pods_that_no_policy_pins_are_reported_and_roll_nothing_out() {
    reports_pods_without_their_pin_once(World::new("not-pinned").await).await;
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

    put_in_force(&world).await;
    replace_pods(&world).await;
    world.until_running(&world.marker(3), 1).await;
    until_pinned(&controller).await;
    assert_eq!(world.patches(), 2);
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
