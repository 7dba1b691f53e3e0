//! Rollouts that are over and whose pods run another image: repeated as often as `rollouts.retryAfter` has entries, each
//! after a longer wait, and then no more.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1 as apps;
use kube_autorollout_core::state::{Reason, State};
use kube_autorollout_testbed::{
    image::Behaviour,
    mirror::Mirror,
    node::{Nodes, NodesOptions, Scheduling},
    workload::{self, eventually, rolled_out},
};

use crate::{
    harness::{Controller, SOON, World},
    kinds::{self, KINDS},
    reported::until_reported,
};

const WAITS: &str = "rollouts: { retryAfter: [2s, 4s, 8s] }";

/// The same with a second replica.
const ELECTED: &str = "rollouts: { retryAfter: [2s, 4s, 8s] }\nleaderElection: { enabled: true }";

impl World {
    /// Waits for this many patches.
    async fn until_patches(&self, patches: usize) {
        let what = format!("{patches} patches");
        let taken = eventually(2 * SOON, &what, async || {
            let seen = self.patches();
            (seen >= patches)
                .then_some(())
                .ok_or_else(|| seen.to_string())
        });
        taken.await.unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(self.patches(), patches);
    }

    /// The annotation of the template of `web` that counts how often a digest was rolled out.
    async fn attempts(&self) -> Option<String> {
        let template = self.deployment("web").await.spec.expect("a spec").template;
        let annotations = template.metadata.and_then(|metadata| metadata.annotations);
        annotations?.remove("kube-autorollout/attempts")
    }
}

/// A tag goes from A to B and to C, which a pod pulls by itself, and back to B, which is on record.
async fn ends_on_the_digest_on_record(kind: &str) {
    let world = World::new(&format!("back-{kind}")).await;
    world.push(&world.version(1), "app").await;
    let like = workload::Deployment::named("web").container("app", &world.image("app"));
    let pods = kinds::create(&world, kind, like).await;
    world.until_running(&world.marker(1), pods).await;
    let controller = world.controller(WAITS).await;
    controller.until_all("UpToDate", 1).await;
    world.push(&world.version(2), "app").await;
    world.until_running(&world.marker(2), pods).await;
    controller.until_all("UpToDate", 1).await;
    assert_eq!(controller.stop().await, Some(0));

    world.push(&world.version(3), "app").await;
    let nodes = world.testbed.nodes();
    let pod = nodes.running(world.namespace.name()).remove(0).pod;
    nodes.crash(world.namespace.name(), &pod, "app");
    let pulled = eventually(SOON, "a pod that pulled by itself", async || {
        let markers = world.markers();
        let others = markers.iter().filter(|marker| **marker == world.marker(3));
        (others.count() == 1 && markers.len() == pods)
            .then_some(())
            .ok_or_else(|| format!("{markers:?}"))
    });
    pulled.await.unwrap_or_else(|error| panic!("{error}"));
    world.push(&world.version(2), "app").await;
    controller.start().await;
    world.until_running(&world.marker(2), pods).await;
    controller.until_all("UpToDate", 1).await;
    controller.checks("web", 3).await;
    assert_eq!(world.patches(), 2, "one more for what was on record");
}

#[tokio::test]
async fn pods_that_pulled_a_later_push_by_themselves_end_on_what_the_tag_names() {
    for kind in KINDS {
        ends_on_the_digest_on_record(kind).await;
    }
}

/// The Deployment `web` on version 1 in a pool of nodes that pull through a mirror.
struct Behind {
    world: World,
    mirror: Mirror,
    nodes: Nodes,
}

impl Behind {
    /// The mirror lags from now on.
    async fn begin(hint: &str) -> Self {
        let world = World::new(hint).await;
        let pool = world.namespace.name().to_owned();
        let options = NodesOptions {
            name: pool.clone(),
            scheduling: Scheduling::Pool,
            ..NodesOptions::default()
        };
        let nodes = world.testbed.start_nodes(options).await.expect("nodes");
        let host = world.testbed.registry().host();
        let mirror = Mirror::start(host).await;
        let mirror = mirror.expect("a mirror");
        let through = nodes.pull_through(host, Some(mirror.access()));
        through.expect("plain HTTP");
        world.push(&world.version(1), "app").await;
        let web = workload::Deployment::named("web").on_pool(&pool).labelled();
        let web = web.container("app", &world.image("app"));
        world.create(web).await;
        world.rolled_out("web").await;
        mirror.lag();
        Self {
            world,
            mirror,
            nodes,
        }
    }

    async fn until_running(&self, version: u32) {
        let expected = [self.world.marker(version)];
        let running = eventually(SOON, "running the image", async || {
            let running = self.nodes.running(self.world.namespace.name());
            let markers: Vec<_> = running.into_iter().map(|one| one.marker).collect();
            (markers == expected)
                .then_some(())
                .ok_or_else(|| format!("{markers:?}"))
        });
        running.await.unwrap_or_else(|error| panic!("{error}"));
    }

    /// The last patch was in vain: it is rolled out, and what was there before runs.
    async fn is_in_vain(&self) {
        let deployments = self.world.namespace.api::<apps::Deployment>();
        let complete = rolled_out(&deployments, "web", SOON).await;
        complete.unwrap_or_else(|error| panic!("{error}"));
        self.until_running(1).await;
    }

    async fn is_told(&self, controller: &Controller) {
        let (state, reason) = (State::NotConverging, Reason::RuntimeReportsAlias);
        until_reported(&self.world, controller, "web", state, reason).await;
        let metrics = controller.metrics().await;
        let outdated = metrics.value("workload_outdated", &[("name", "web")]);
        assert_eq!(outdated, Some(1.0));
    }
}

#[tokio::test]
async fn a_mirror_that_lags_is_followed_at_the_next_attempt() {
    let behind = Behind::begin("lagging").await;
    let world = &behind.world;
    let waits = "rollouts: { retryAfter: [10s, 15s, 1h] }";
    let controller = world.controller(waits).await;
    controller.until_all("UpToDate", 1).await;
    world.push(&world.version(2), "app").await;
    world.until_patches(1).await;
    behind.is_in_vain().await;
    behind.is_told(&controller).await;
    assert_eq!(world.attempts().await, None, "nothing was repeated yet");
    world.until_patches(2).await;
    behind.is_in_vain().await;
    assert_eq!(world.attempts().await.as_deref(), Some(r#"{"app":2}"#));
    behind.mirror.catch_up();
    behind.until_running(2).await;
    controller.until_all("UpToDate", 1).await;
    controller.checks("web", 3).await;
    assert_eq!(world.patches(), 3);
    assert_eq!(world.attempts().await.as_deref(), Some(r#"{"app":3}"#));
    world.push(&world.version(3), "app").await;
    behind.until_running(3).await;
    controller.until_all("UpToDate", 1).await;
    assert_eq!(
        world.attempts().await,
        None,
        "another digest, another count"
    );
    assert_eq!(world.patches(), 4);
}

#[tokio::test]
async fn a_mirror_that_never_catches_up_costs_three_more_attempts_over_restarts_and_changes_of_leader()
 {
    let behind = Behind::begin("never").await;
    let world = &behind.world;
    let first = world.controller(ELECTED).await;
    first.until_all("UpToDate", 1).await;
    let second = world.controller(ELECTED).await;
    world.push(&world.version(2), "app").await;
    world.until_patches(1).await;
    behind.is_in_vain().await;
    world.until_patches(2).await;
    first.kill(); // the other leads once the Lease is over
    behind.is_in_vain().await;
    world.until_patches(3).await;
    behind.is_in_vain().await;
    assert_eq!(second.stop().await, Some(0));
    first.start().await;
    world.until_patches(4).await;
    behind.is_in_vain().await;
    behind.is_told(&first).await;
    // Twice as long as the longest wait.
    first.checks("web", 16).await;
    assert_eq!(world.patches(), 4);
    assert_eq!(first.stop().await, Some(0));
    first.start().await;
    first.until_all("NotConverging", 1).await;
    first.checks("web", 10).await;
    assert_eq!(world.patches(), 4);

    behind.mirror.catch_up();
    world.push(&world.version(3), "app").await;
    behind.until_running(3).await;
    first.until_all("UpToDate", 1).await;
    assert_eq!(world.patches(), 5, "another digest is rolled out at once");
}

#[tokio::test]
async fn without_waits_nothing_is_rolled_out_again() {
    let behind = Behind::begin("no-waits").await;
    let world = &behind.world;
    let controller = world.controller("rollouts: { retryAfter: [] }").await;
    controller.until_all("UpToDate", 1).await;
    world.push(&world.version(2), "app").await;
    world.until_patches(1).await;
    behind.is_in_vain().await;
    behind.is_told(&controller).await;
    controller.checks("web", 5).await;
    assert_eq!(world.patches(), 1);
    assert_eq!(
        controller.metrics().await.states(),
        BTreeMap::from([("NotConverging".to_owned(), 1)])
    );
}

#[tokio::test]
async fn pods_that_wait_are_no_reason_to_roll_out_again() {
    let (world, controller) =
        World::with_web("waiting", "rollouts: { retryAfter: [1s, 1s] }").await;
    let crashes = world.version(2).behaviour(Behaviour::Crashes);
    world.push(&crashes, "app").await;
    let (state, reason) = (State::NotConverging, Reason::CrashLoopBackOff);
    until_reported(&world, &controller, "web", state, reason).await;
    controller.checks("web", 10).await;
    assert_eq!(world.patches(), 1);
}
