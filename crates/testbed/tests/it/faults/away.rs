//! Nodes that are away.

use k8s_openapi::api::{
    apps::v1::{DaemonSet, Deployment},
    core::v1::{Node, NodeStatus, Pod, PodStatus},
};
use kube::{
    Api, ResourceExt as _,
    api::{ListParams, PostParams},
};
use kube_autorollout_testbed::{
    image::Image,
    node::RunningContainer,
    workload::{self, eventually, wait_until},
};

use crate::nodes::bench::{Bench, SOON};

fn node_is(status: Option<&NodeStatus>, ready: &str) -> bool {
    let mut conditions = status
        .into_iter()
        .flat_map(|status| status.conditions.iter().flatten());
    conditions.any(|condition| condition.type_ == "Ready" && condition.status == ready)
}

fn pod_is(status: Option<&PodStatus>, ready: &str) -> bool {
    let mut conditions = status
        .into_iter()
        .flat_map(|status| status.conditions.iter().flatten());
    conditions.any(|condition| condition.type_ == "Ready" && condition.status == ready)
}

/// A Deployment of one pod and a DaemonSet on two nodes.
struct World(Bench);

impl World {
    async fn new() -> Self {
        let bench = Bench::alone("away").await;
        bench.push(&Image::new("away"), "stable").await;
        let image = bench.reference("stable");
        let like = |name| workload::Deployment::named(name).container("app", &image);
        bench.create(like("web")).await;
        let agent = workload::DaemonSet::like(like("agent").tolerates_all()).build();
        let daemons = bench.namespace.api::<DaemonSet>();
        let created = daemons.create(&PostParams::default(), &agent).await;
        created.expect("created");
        bench.rolled_out("web").await;
        let world = Self(bench);
        world.until_agents(2).await;
        world
    }

    async fn until_agents(&self, available: i32) {
        let daemons = self.0.namespace.api::<DaemonSet>();
        let counted = wait_until(&daemons, "agent", SOON, |set| {
            let status = set.status.clone().unwrap_or_default();
            status.desired_number_scheduled == 2
                && status.updated_number_scheduled == Some(2)
                && status.number_available.unwrap_or(0) == available
        });
        counted.await.expect("so many available pods");
    }

    async fn until_node(&self, name: &str, ready: &str) {
        let nodes: Api<Node> = Api::all(self.0.namespace.client());
        let state = wait_until(&nodes, name, SOON, |node| {
            node_is(node.status.as_ref(), ready)
        });
        state.await.expect("the state of the node");
    }

    /// The containers of the Deployment, by what their nodes know.
    fn running(&self) -> Vec<RunningContainer> {
        let running = self.0.running().into_iter();
        running.filter(|one| one.pod.starts_with("web-")).collect()
    }

    async fn pods(&self) -> Vec<Pod> {
        let pods = self.0.namespace.api::<Pod>();
        let pods = pods.list(&ListParams::default().labels("app=web")).await;
        pods.expect("listed").items
    }

    /// Waits until another pod is available, while this one is being deleted and does not end.
    async fn until_replaced(&self, lost: &str) {
        let deployments = self.0.namespace.api::<Deployment>();
        let replaced = eventually(SOON, "another pod in its place", async || {
            let deployment = deployments.get("web").await.expect("a Deployment");
            let available = deployment
                .status
                .and_then(|status| status.available_replicas);
            let pods = self.pods().await;
            let is_ending = pods.len() == 2
                && pods.iter().any(|pod| {
                    pod.name_any() == lost
                        && pod.metadata.deletion_timestamp.is_some()
                        && pod_is(pod.status.as_ref(), "False")
                });
            (available == Some(1) && is_ending)
                .then_some(())
                .ok_or_else(|| format!("{available:?}, {pods:?}"))
        });
        replaced.await.expect("another pod in its place");
    }
}

#[tokio::test]
async fn the_pods_of_a_node_that_is_away_are_unready_and_end_only_when_it_is_back() {
    let world = World::new().await;
    let nodes = world.0.testbed.nodes();
    let lost = world.running().pop().expect("a pod");
    nodes.go_away(&lost.node).expect("a node");
    world.until_node(&lost.node, "Unknown").await;
    world.until_agents(1).await;
    world.until_replaced(&lost.pod).await;
    let pods: Vec<_> = world.running().into_iter().map(|one| one.pod).collect();
    assert!(pods.contains(&lost.pod), "it runs on: {pods:?}");

    nodes.come_back(&lost.node).expect("a node");
    world.until_node(&lost.node, "True").await;
    world.until_agents(2).await;
    let ended = eventually(SOON, "the end of the old pod", async || {
        let pods = world.pods().await;
        (pods.len() == 1)
            .then_some(())
            .ok_or_else(|| format!("{pods:?}"))
    });
    ended.await.expect("the end of the old pod");
    assert_ne!(world.running()[0].pod, lost.pod);
}
