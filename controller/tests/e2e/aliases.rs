//! Nodes that know an image by the name of another repository as well, which comes first in the alphabet.

use k8s_openapi::api::core::v1::{Node, Pod};
use kube::{Api, ResourceExt as _, api::ListParams};
use kube_autorollout_core::state::{Reason, State};
use kube_autorollout_testbed::workload::{Deployment, eventually};

use crate::{
    harness::{SOON, World},
    reported::until_reported,
};

/// A node of the testbed.
async fn node(world: &World) -> String {
    let nodes: Api<Node> = Api::all(world.namespace.client());
    let listed = nodes.list(&ListParams::default()).await.expect("nodes");
    let simulated = |node: &&Node| node.name_any().starts_with("node-");
    listed
        .items
        .iter()
        .find(simulated)
        .expect("a node")
        .name_any()
}

/// Waits until the pod of the Deployment `web` reports this repository.
async fn until_image_id(world: &World, repository: &str) {
    let pods = world.namespace.api::<Pod>();
    let selector = ListParams::default().labels("app=web");
    let reported = eventually(SOON, "an image ID", async || {
        let listed = pods.list(&selector).await.expect("pods");
        let statuses = listed.items.into_iter().filter_map(|pod| pod.status);
        let containers = statuses.filter_map(|status| status.container_statuses);
        let ids: Vec<String> = containers.flatten().map(|status| status.image_id).collect();
        if ids.iter().all(|id| id.contains(repository)) && !ids.is_empty() {
            return Ok(());
        }
        Err(format!("{ids:?}"))
    });
    reported.await.unwrap_or_else(|error| panic!("{error}"));
}

#[tokio::test]
async fn an_image_that_its_node_knows_by_another_repository_is_not_rolled_out_at_every_push() {
    let world = World::new("named-twice").await;
    let (node, namespace) = (node(&world).await, world.namespace.name());
    let image = world.version(1);
    let other = format!("a-{namespace}");
    let pushed = world.pusher.push(&image, &other, "app").await;
    pushed.expect("pushed");
    let host = world.testbed.registry().host();
    let elsewhere = Deployment::named("other").container("app", &format!("{host}/{other}:app"));
    world.create(elsewhere.on_node(&node)).await;
    world.rolled_out("other").await;
    let build = |number: u32| image.clone().annotation("build", &number.to_string());
    world.push(&build(1), "app").await;
    let web = Deployment::named("web").container("app", &world.image("app"));
    world.create(web.on_node(&node).labelled()).await;
    world.rolled_out("web").await;
    until_image_id(&world, &other).await;

    // Where it was pulled from is not known of a pod that was there before: it is rolled out once.
    let controller = world.controller("").await;
    controller.until_completed(1).await;
    until_image_id(&world, &other).await;
    for number in 2..4 {
        world.push(&build(number), "app").await;
        let (state, reason) = (State::UpToDate, Reason::SameConfig);
        until_reported(&world, &controller, "web", state, reason).await;
        controller.checks("web", 2).await;
    }
    assert_eq!(world.patches(), 1);
    controller.until_all("UpToDate", 1).await;

    world.push(&world.version(2), "app").await;
    controller.until_completed(2).await;
    assert_eq!(world.patches(), 2);
}
