//! Nodes that cannot be read, or are gone, while a push changes another architecture than theirs.

use std::time::Duration;

use kube_autorollout_core::state::Reason;
use kube_autorollout_testbed::{
    gateway::Gateway,
    image::{Image, ImageIndex},
};

use crate::{
    harness::{Controller, World},
    reported::until_decided,
    way::{at, gateway},
};

/// A Deployment that runs what its tag names, and a controller whose requests for nodes can be disturbed.
struct Given {
    world: World,
    gateway: Gateway,
    controller: Controller,
}

impl Given {
    async fn new(hint: &str) -> Self {
        let world = World::new(hint).await;
        world.permit_nodes().await;
        push(&world, 1).await;
        world.deploy("web", "app").await;
        let gateway = gateway(&world).await;
        let controller = at(&world, gateway.url(), "/readyz", "").await;
        controller.until_all("UpToDate", 1).await;
        Self {
            world,
            gateway,
            controller,
        }
    }

    /// Waits until it is decided for this reason that nothing is to be done, again and again.
    async fn until_left_alone(&self, reason: Reason) {
        let reason = format!("reason=\"{reason}\"");
        let decided = ["decided", "/web ", "state=Unknown ", &reason];
        self.controller.until_logged(&decided).await;
        until_decided(&self.controller, 2).await;
        assert_eq!(self.world.patches(), 0);
    }

    async fn until_known(&self) {
        self.controller.until_all("UpToDate", 1).await;
        self.controller
            .until_logged(&["decided", "/web ", "IndexChangedOnly"])
            .await;
        assert_eq!(self.world.patches(), 0);
    }
}

/// An index of which only the image changes that no node runs.
async fn push(world: &World, version: u32) {
    let marker = world.namespace.name();
    let amd = Image::new(format!("{marker}-amd64"));
    let arm = Image::new(format!("{marker}-arm64-{version}")).platform("linux", "arm64");
    world.push(&ImageIndex::of([amd, arm]), "app").await;
}

#[tokio::test]
async fn a_node_that_cannot_be_read_is_a_doubt_and_rolls_nothing_out() {
    let given = Given::new("node-slow").await;
    given.gateway.delay("nodes", Duration::from_secs(3600));
    push(&given.world, 2).await;
    given.until_left_alone(Reason::ApiServer).await;
    given
        .controller
        .until_logged(&["WARN", "cannot get the node"])
        .await;
    given.gateway.delay("nodes", Duration::ZERO);
    given.until_known().await;
}

#[tokio::test]
async fn a_pod_whose_node_is_gone_is_waited_for_and_not_restarted() {
    let given = Given::new("node-gone").await;
    given.gateway.lack("nodes");
    push(&given.world, 2).await;
    given.until_left_alone(Reason::NotStarted).await;
    given.gateway.have("nodes");
    given.until_known().await;
}
