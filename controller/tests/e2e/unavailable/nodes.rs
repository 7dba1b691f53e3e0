//! Nodes that are away, or that die in the middle of a rollout: their pods end when they are back, and not before.

use k8s_openapi::api::{
    apps::v1 as apps,
    core::v1::{Node, Pod},
};
use kube::{Api, ResourceExt, api::ListParams};
use kube_autorollout_testbed::{
    node::{Nodes, NodesOptions, Scheduling},
    workload::{DaemonSet, Deployment, StatefulSet, eventually, wait_until},
};

use super::scene::Scene;
use crate::harness::{SOON, World};

/// Three nodes in a pool, and a workload of three pods for it.
async fn three(hint: &str) -> (World, Nodes, Deployment) {
    let world = World::with_nodes_that_die(hint).await;
    let options = NodesOptions {
        name: "pool".to_owned(),
        count: 3,
        scheduling: Scheduling::Pool,
        ..NodesOptions::default()
    };
    let nodes = world.testbed.start_nodes(options).await.expect("nodes");
    world.push(&world.version(1), "app").await;
    let web = Deployment::named("web").replicas(3).labelled();
    let web = web.container("app", &world.image("app")).on_pool("pool");
    (world, nodes, web)
}

impl Scene {
    async fn begun(world: World, nodes: Nodes) -> Self {
        let marker = world.marker(1);
        let running = eventually(SOON, "three pods", async || {
            let running = nodes.running(world.namespace.name());
            let markers = running.iter().filter(|one| one.marker == marker);
            (markers.count() == 3)
                .then_some(())
                .ok_or_else(|| format!("{running:?}"))
        });
        running.await.unwrap_or_else(|error| panic!("{error}"));
        Self::begin(world, Some(nodes)).await
    }

    /// The node of the first pod of `web` that runs version 1 goes away; gives it and the pod.
    fn lose_a_node(&mut self) -> (String, String) {
        let old = self.world.marker(1);
        let mut running = self.running().into_iter();
        let lost = running.find(|one| one.marker == old).expect("an old pod");
        self.nodes().go_away(&lost.node).expect("a node");
        self.away.push(lost.node.clone());
        (lost.node, lost.pod)
    }

    async fn until_node(&self, name: &str, ready: &str) {
        let nodes: Api<Node> = Api::all(self.world.namespace.client());
        let state = wait_until(&nodes, name, SOON, |node| {
            let status = node.status.iter();
            let mut conditions = status.flat_map(|status| status.conditions.iter().flatten());
            conditions.any(|condition| condition.type_ == "Ready" && condition.status == ready)
        });
        state.await.unwrap_or_else(|error| panic!("{error}"));
    }

    /// Waits until this pod is being deleted; it does not end.
    async fn until_terminating(&self, pod: &str) {
        let pods = self.world.namespace.api::<Pod>();
        let terminating = wait_until(&pods, pod, SOON, |pod| {
            pod.metadata.deletion_timestamp.is_some()
        });
        terminating.await.unwrap_or_else(|error| panic!("{error}"));
    }

    /// The node is back, all pods come to run this version, and nothing is rolled out for that.
    async fn come_back(&mut self, node: &str, version: u32) {
        let patches = self.patches_to("web");
        self.nodes().come_back(node).expect("a node");
        self.away.clear();
        self.until_node(node, "True").await;
        self.until_running(version, 3..=3).await;
        let pods = self.world.namespace.api::<Pod>();
        let ended = eventually(SOON, "the end of all old pods", async || {
            let list = pods.list(&ListParams::default().labels("app=web")).await;
            let list = list.map_err(|error| error.to_string())?;
            let names: Vec<_> = list.iter().map(ResourceExt::name_any).collect();
            (names.len() == 3)
                .then_some(())
                .ok_or_else(|| format!("{names:?}"))
        });
        ended.await.unwrap_or_else(|error| panic!("{error}"));
        self.controller.until_all("UpToDate", 2).await;
        self.controller.checks("web", 3).await;
        assert_eq!(self.patches_to("web"), patches);
    }
}

#[tokio::test]
async fn a_daemon_set_of_which_a_node_is_away_is_rolled_out_once_for_each_push() {
    let (world, nodes, like) = three("daemons-away").await;
    let web = DaemonSet::like(like.tolerates_all()).max_unavailable(2);
    world.create_object(&web.build()).await;
    let mut scene = Scene::begun(world, nodes).await;
    let (node, _) = scene.lose_a_node();
    scene.until_node(&node, "Unknown").await;
    let sets = scene.world.namespace.api::<apps::DaemonSet>();
    let short = wait_until(&sets, "web", SOON, |set| {
        let status = set.status.clone().unwrap_or_default();
        status.desired_number_scheduled == 3 && status.number_available == Some(2)
    });
    short.await.unwrap_or_else(|error| panic!("{error}"));
    for version in 2..=4 {
        scene.rolls_out(version, 2..=2).await;
    }
    scene.come_back(&node, 4).await;
}

/// The first of three pushes is being rolled out when a node dies.
async fn dies_in_mid_rollout(mut scene: Scene, left: usize) {
    scene.push(2).await;
    scene.until_patches("web", 1).await;
    let (node, pod) = scene.lose_a_node();
    scene.until_node(&node, "Unknown").await;
    scene.until_terminating(&pod).await;
    scene.until_running(2, left..=left).await;
    scene.serves_beside(2).await;
    for version in 3..=4 {
        scene.rolls_out(version, left..=left).await;
    }
    scene.until_terminating(&pod).await;
    scene.come_back(&node, 4).await;
}

#[tokio::test]
async fn a_deployment_of_which_a_node_dies_in_mid_rollout_is_rolled_out_once_for_each_push() {
    let (world, nodes, web) = three("deployment-dies").await;
    world.create(web).await;
    dies_in_mid_rollout(Scene::begun(world, nodes).await, 3).await;
}

#[tokio::test]
async fn a_daemon_set_of_which_a_node_dies_in_mid_rollout_is_rolled_out_once_for_each_push() {
    let (world, nodes, like) = three("daemons-die").await;
    let web = DaemonSet::like(like.tolerates_all()).max_unavailable(2);
    world.create_object(&web.build()).await;
    dies_in_mid_rollout(Scene::begun(world, nodes).await, 2).await;
}

#[tokio::test]
async fn a_stateful_set_with_parallel_pods_of_which_a_node_dies_is_rolled_out_once_for_each_push() {
    let (world, nodes, like) = three("set-dies").await;
    let web = StatefulSet::like(like).parallel();
    world.create_object(&web.build()).await;
    dies_in_mid_rollout(Scene::begun(world, nodes).await, 2).await;
}
