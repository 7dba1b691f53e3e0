//! Many workloads are outdated at once, or one of them often, and rollouts wait for their turn.

use std::{collections::BTreeSet, pin::pin, time::Duration};

use futures::StreamExt as _;
use jiff::SignedDuration;
use k8s_openapi::api::apps::v1::Deployment;
use kube::{
    ResourceExt as _,
    runtime::{WatchStreamExt as _, watcher},
};
use kube_autorollout_testbed::{image::Image, workload::is_rolled_out};
use tokio::time::timeout;

use crate::harness::{Controller, SOON, World};

/// The rollouts of a namespace, as a watch shows them.
#[derive(Debug, Default)]
pub(crate) struct Rollouts {
    /// In the order in which they began.
    begun: Vec<String>,
    in_flight: BTreeSet<String>,
    pub(crate) most_in_flight: usize,
}

impl Rollouts {
    /// Watches the Deployments until this many rollouts have ended.
    pub(crate) async fn watched(world: &World, rollouts: usize) -> Self {
        let api = world.namespace.api::<Deployment>();
        let mut changes = pin!(watcher(api, watcher::Config::default()).applied_objects());
        let mut seen = Self::default();
        let watching = async {
            while seen.begun.len() < rollouts || !seen.in_flight.is_empty() {
                let deployment = changes.next().await.expect("a stream without an end");
                seen.note(&deployment.expect("a Deployment"));
            }
        };
        let watched = timeout(2 * SOON, watching).await;
        assert!(watched.is_ok(), "{seen:?}");
        seen
    }

    fn note(&mut self, deployment: &Deployment) {
        let name = deployment.name_any();
        if is_rolled_out(deployment) {
            self.in_flight.remove(&name);
        } else if self.in_flight.insert(name.clone()) {
            self.begun.push(name);
        }
        self.most_in_flight = self.most_in_flight.max(self.in_flight.len());
    }
}

/// An image that takes the nodes a moment to pull.
fn slow(world: &World, version: u32) -> Image {
    world.version(version).download(Duration::from_secs(1))
}

/// Six Deployments on one tag, and a controller that has found them up to date and was stopped.
async fn six(hint: &str) -> (World, Controller) {
    let world = World::new(hint).await;
    world.push(&world.version(1), "app").await;
    for number in 0..6 {
        world.deploy(&format!("web-{number}"), "app").await;
    }
    // The next tick is far away, so a workload that waits for a slot is woken when one is free.
    let controller = world
        .controller("interval: 1h\nrollouts: { maxConcurrent: 2 }")
        .await;
    controller.until_all("UpToDate", 6).await;
    assert_eq!(controller.stop().await, Some(0));
    (world, controller)
}

#[tokio::test]
async fn never_more_rollouts_are_in_flight_than_there_may_be() {
    let (world, controller) = six("budget").await;
    world.push(&slow(&world, 2), "app").await;
    let (rollouts, ()) = tokio::join!(Rollouts::watched(&world, 6), async {
        controller.start().await;
        let line = controller.until_logged(&["INFO", "WaitingForBudget"]).await;
        let name = line.split_once("/web-").expect("the workload").1;
        let name = format!("web-{}", &name[..1]);
        let metrics = controller
            .until("waiting workloads", |metrics| {
                metrics.states().contains_key("Outdated")
            })
            .await;
        let outdated = metrics.value("workload_outdated", &[("name", &name)]);
        assert_eq!(outdated, Some(1.0));
    });
    assert_eq!(rollouts.most_in_flight, 2);
    assert_eq!(rollouts.begun.len(), 6);
    controller.until_all("UpToDate", 6).await;
    assert_eq!(world.patches(), 6);
}

#[tokio::test]
async fn rollouts_in_flight_count_for_the_next_start_too() {
    let (world, controller) = six("budget-restart").await;
    let slow = world.version(2).download(Duration::from_secs(4));
    world.push(&slow, "app").await;
    let (rollouts, ()) = tokio::join!(Rollouts::watched(&world, 6), async {
        for waiting in ["WaitingForBudget", "WaitingForBudget"] {
            controller.start().await;
            controller.until_logged(&["rolled out: "]).await;
            controller.until_logged(&[waiting]).await;
            controller.kill();
        }
        controller.start().await;
    });
    assert_eq!(rollouts.most_in_flight, 2);
    controller.until_all("UpToDate", 6).await;
    assert_eq!(world.patches(), 6);
}

#[tokio::test]
async fn who_is_outdated_for_longest_is_rolled_out_first() {
    let world = World::new("fair").await;
    let names = ["first", "c", "a", "b"];
    let image = |name: &str, version: u32| {
        Image::new(format!("{}-{name}-{version}", world.namespace.name()))
    };
    for name in names {
        world.push(&image(name, 1), name).await;
        world.deploy(name, name).await;
    }
    let controller = world.controller("rollouts: { maxConcurrent: 1 }").await;
    controller.until_all("UpToDate", 4).await;
    let (rollouts, ()) = tokio::join!(Rollouts::watched(&world, 4), async {
        // The first takes so long that all others wait before it has ended.
        let slow = image("first", 2).download(Duration::from_secs(15));
        world.push(&slow, "first").await;
        controller.until_logged(&["/first", "rolled out: "]).await;
        for name in &names[1..] {
            world.push(&image(name, 2), name).await;
            let own = format!("/{name} ");
            controller.until_logged(&[&own, "WaitingForBudget"]).await;
        }
    });
    assert_eq!(rollouts.begun, names);
    assert_eq!(rollouts.most_in_flight, 1);
}

#[tokio::test]
async fn a_rollout_that_does_not_converge_makes_room_for_another() {
    let world = World::new("stuck").await;
    for name in ["bad", "good"] {
        let old = Image::new(format!("{}-{name}-1", world.namespace.name()));
        world.push(&old, name).await;
        world.deploy(name, name).await;
    }
    let controller = world.controller("rollouts: { maxConcurrent: 1 }").await;
    controller.until_all("UpToDate", 2).await;
    let crashes = kube_autorollout_testbed::image::Behaviour::Crashes;
    world
        .push(&world.version(2).behaviour(crashes), "bad")
        .await;
    controller.until_logged(&["/bad", "rolled out: "]).await;
    world.push(&world.version(3), "good").await;
    controller
        .until_logged(&["/good", "rollout completed"])
        .await;
    let states = controller.metrics().await.states();
    assert_eq!(states.get("NotConverging"), Some(&1), "{states:?}");
}

#[tokio::test]
async fn a_workload_rests_between_two_rollouts_also_over_a_restart() {
    let (world, controller) =
        World::with_web("rest", "interval: 1h\nrollouts: { minInterval: 20s }").await;
    for version in [2, 3] {
        assert_eq!(controller.stop().await, Some(0));
        world.push(&world.version(version), "app").await;
        controller.start().await;
        if version == 3 {
            controller
                .until_logged(&["INFO", "container app: MinInterval until "])
                .await;
            let metrics = controller.until_all("Outdated", 1).await;
            let outdated = metrics.value("workload_outdated", &[("name", "web")]);
            assert_eq!(outdated, Some(1.0));
        }
        // It begins when the wait is over, and not at the next tick.
        world.until_running(&world.marker(version), 1).await;
        controller.until_all("UpToDate", 1).await;
    }
    let patches = world.requests();
    let mut patches = patches
        .iter()
        .filter(|request| request.verb == "patch" && request.resource == "deployments");
    let (first, second) = (patches.next(), patches.next());
    let [first, second] = [first, second].map(|patch| patch.expect("a patch").at);
    // The annotation has whole seconds.
    let rest = second.duration_since(first);
    assert!(rest >= SignedDuration::from_secs(19), "{rest}");
    assert_eq!(patches.count(), 0);
}

#[tokio::test]
async fn a_tag_that_moves_twice_before_it_settles_is_rolled_out_once() {
    let (world, controller) = World::with_web("settle", "rollouts: { settle: 10s }").await;
    world.push(&world.version(2), "app").await;
    controller
        .until_logged(&["INFO", "container app: Settling until "])
        .await;
    let metrics = controller.until_all("Outdated", 1).await;
    let outdated = metrics.value("workload_outdated", &[("name", "web")]);
    assert_eq!(outdated, Some(1.0));
    world.push(&world.version(3), "app").await;
    world.until_running(&world.marker(3), 1).await;
    controller.until_all("UpToDate", 1).await;
    assert_eq!(world.patches(), 1);
}

#[tokio::test]
async fn what_settles_between_two_ticks_is_asked_for_once_more_and_rolled_out() {
    let (world, controller) =
        World::with_web("settled", "interval: 1h\nrollouts: { settle: 5s }").await;
    assert_eq!(controller.stop().await, Some(0));
    world.push(&world.version(2), "app").await;
    controller.start().await;
    controller.until_logged(&["Settling"]).await;
    // It has moved on, which the tick's answer does not show: the new digest has to settle, too.
    world.push(&world.version(3), "app").await;
    world.until_running(&world.marker(3), 1).await;
    controller.until_all("UpToDate", 1).await;
    assert_eq!(world.patches(), 1);
}

#[tokio::test]
async fn the_log_tells_a_whole_rollout_in_at_most_five_lines() {
    let (world, controller) =
        World::with_web("story", "rollouts: { settle: 2s, minInterval: 10s }").await;
    for version in [2, 3] {
        world.push(&world.version(version), "app").await;
        world.until_running(&world.marker(version), 1).await;
        controller.until_all("UpToDate", 1).await;
    }
    let log = controller.log();
    let lines = log
        .lines()
        .filter(|line| line.contains(" INFO ") && line.contains("/web"));
    let lines: Vec<_> = lines.collect();
    let ends = |line: &&str| line.contains("rollout completed: ");
    let stories: Vec<_> = lines.split_inclusive(ends).collect();
    assert_eq!(stories.len(), 2, "{lines:?}");
    for story in stories {
        assert!(story.len() <= 5, "{story:?}");
        assert!(story[0].contains("Settling"), "{story:?}");
        assert!(
            story.iter().any(|line| line.contains("rolled out: ")),
            "{story:?}"
        );
    }
}
