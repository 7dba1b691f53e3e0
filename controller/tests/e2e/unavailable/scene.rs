//! What the tests have in common: the workload `web`, which is never complete, and one that always is.

use std::{ops::RangeInclusive, time::Duration};

use kube_autorollout_testbed::{
    node::{Nodes, RunningContainer},
    workload::{Deployment, eventually},
};

use crate::harness::{Controller, SOON, World};

/// How often `beside` may be checked before it is rolled out: the check under way at the push, that of the next tick,
/// and one more for the place to be free.
const CHECKS: usize = 3;

/// The controller checks `web` and the Deployment `beside`, each on a tag of its own.
pub(super) struct Scene {
    pub(super) world: World,
    pub(super) controller: Controller,
    /// Where the pods of `web` run, if not on the nodes of all tests.
    pub(super) nodes: Option<Nodes>,
    /// Nodes that are away.
    pub(super) away: Vec<String>,
}

impl Scene {
    /// `web` has been created and is as it is going to be.
    pub(super) async fn begin(world: World, nodes: Option<Nodes>) -> Self {
        world.push(&world.version(101), "beside").await;
        let like = Deployment::named("beside");
        let like = like
            .container("app", &world.image("beside"))
            .requests_cpus(0);
        world.create(like.labelled()).await;
        world.rolled_out("beside").await;
        let controller = world.controller("rollouts: { maxConcurrent: 1 }").await;
        for name in ["web", "beside"] {
            controller.checks(name, 1).await;
        }
        assert_eq!(world.patches(), 0);
        Self {
            world,
            controller,
            nodes,
            away: Vec::new(),
        }
    }

    pub(super) fn nodes(&self) -> &Nodes {
        self.nodes
            .as_ref()
            .unwrap_or_else(|| self.world.testbed.nodes())
    }

    /// The containers of `web` on nodes that are there.
    pub(super) fn running(&self) -> Vec<RunningContainer> {
        let running = self.nodes().running(self.world.namespace.name());
        let of_web = running
            .into_iter()
            .filter(|one| one.pod.starts_with("web-") && !self.away.contains(&one.node));
        of_web.collect()
    }

    /// How many patches of this workload the API server took.
    pub(super) fn patches_to(&self, name: &str) -> usize {
        let taken = self.world.requests().into_iter();
        let taken = taken.filter(|request| {
            request.verb == "patch" && request.name == name && request.code == 200
        });
        // Not those of Events and the Lease
        taken
            .filter(|request| {
                request.resource.ends_with("sets") || request.resource == "deployments"
            })
            .count()
    }

    pub(super) async fn until_patches(&self, name: &str, patches: usize) {
        let what = format!("{patches} patches of {name}");
        let taken = eventually(SOON, &what, async || {
            let seen = self.patches_to(name);
            (seen >= patches)
                .then_some(())
                .ok_or_else(|| seen.to_string())
        });
        let log = || self.controller.log();
        taken
            .await
            .unwrap_or_else(|error| panic!("{error}\n{}", log()));
        assert_eq!(self.patches_to(name), patches, "{name}");
    }

    /// Waits until this many containers of `web` run a version, and no others.
    pub(super) async fn until_running(&self, version: u32, containers: RangeInclusive<usize>) {
        let marker = self.world.marker(version);
        let what = format!("version {version}");
        let running = eventually(SOON, &what, async || {
            let running = self.running();
            let is_all = running.iter().all(|one| one.marker == marker);
            (is_all && containers.contains(&running.len()))
                .then_some(())
                .ok_or_else(|| format!("{running:?}"))
        });
        running.await.unwrap_or_else(|error| panic!("{error}"));
    }

    /// Pushes a version, which the nodes take a second to pull, to the tag of `web`.
    pub(super) async fn push(&self, version: u32) {
        let image = self.world.version(version).download(Duration::from_secs(1));
        self.world.push(&image, "app").await;
    }

    /// A version is rolled out to `web` in one patch, which brings so many of its containers up to date. Until then it is
    /// outdated, and then `beside` is served.
    pub(super) async fn rolls_out(&self, version: u32, containers: RangeInclusive<usize>) {
        self.push(version).await;
        self.controller
            .until("web outdated", |metrics| {
                metrics.value("workload_outdated", &[("name", "web")]) == Some(1.0)
            })
            .await;
        self.until_patches("web", version as usize - 1).await;
        self.until_running(version, containers).await;
        self.serves_beside(version).await;
        assert_eq!(self.patches_to("web"), version as usize - 1, "once");
    }

    /// `beside` gets a version of its own within its tick, though only one rollout may be in flight.
    pub(super) async fn serves_beside(&self, version: u32) {
        let image = self.world.version(100 + version);
        self.world.push(&image, "beside").await;
        let patches = version as usize - 1;
        for _ in 0..CHECKS {
            if self.patches_to("beside") < patches {
                self.controller.checks("beside", 1).await;
            }
        }
        assert_eq!(
            self.patches_to("beside"),
            patches,
            "{}",
            self.controller.log()
        );
        self.world.rolled_out("beside").await;
    }
}
