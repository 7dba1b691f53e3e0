//! Workloads whose pods are pinned, and what of it is in their templates and pods.

use k8s_openapi::api::{apps::v1::Deployment, core::v1::Pod};
use kube::{
    ResourceExt as _,
    api::{DeleteParams, ListParams},
};
use kube_autorollout_testbed::{
    admission::{PINS, PinPolicy},
    workload::eventually,
};
use serde_json::{Value, json};

use crate::{
    harness::{Controller, SOON, World},
    kinds,
};

pub(crate) const PINNING: &str = "pinning: { enabled: true }";

/// A world in which the chart's policy is in force.
pub(crate) async fn world(hint: &str) -> World {
    let world = World::new(hint).await;
    put_in_force(&world).await;
    world
}

/// The chart's policy is in force for the world's pods.
pub(crate) async fn put_in_force(world: &World) {
    let policy = PinPolicy::of_chart().expect("the chart's policy");
    let put = policy.put_in_force(&world.namespace).await;
    put.unwrap_or_else(|error| panic!("{error}"));
}

/// The Deployment `web` of one pod, rolled out to version 2 with pins.
pub(crate) async fn web(hint: &str, configuration: &str) -> (World, Controller) {
    let world = world(hint).await;
    let configuration = format!("{PINNING}\n{configuration}");
    world.push(&world.version(1), "app").await;
    world.deploy("web", "app").await;
    let controller = world.controller(&configuration).await;
    controller.until_all("UpToDate", 1).await;
    rolls_out(&world, &controller, 2, 1).await;
    (world, controller)
}

/// A workload of a kind, rolled out to version 2 with pins, and how many pods it has.
pub(crate) async fn of_kind(
    hint: &str,
    kind: &str,
    configuration: &str,
) -> (World, Controller, usize) {
    let world = world(hint).await;
    let configuration = format!("{PINNING}\n{configuration}");
    let (controller, pods) = kinds::start(&world, kind, &configuration).await;
    rolls_out(&world, &controller, 2, pods).await;
    (world, controller, pods)
}

/// Pushes a version, and sees the only workload rolled out to it.
pub(crate) async fn rolls_out(world: &World, controller: &Controller, version: u32, pods: usize) {
    world.push(&world.version(version), "app").await;
    world.until_running(&world.marker(version), pods).await;
    controller.until_all("UpToDate", 1).await;
}

/// The pod template of a Deployment.
pub(crate) fn template(deployment: &Deployment) -> Value {
    json!(deployment.spec)["template"].clone()
}

/// The annotation of its template with the pins, as it was written.
pub(crate) fn pins(deployment: &Deployment) -> String {
    let pins = &template(deployment)["metadata"]["annotations"][PINS];
    pins.as_str().unwrap_or_default().to_owned()
}

/// The pods of the namespace.
pub(crate) async fn pods(world: &World) -> Vec<Pod> {
    let pods = world.namespace.api::<Pod>();
    pods.list(&ListParams::default()).await.expect("pods").items
}

/// The images of the containers of that name, in pods that are not being deleted.
pub(crate) async fn images(world: &World, container: &str) -> Vec<String> {
    let pods = pods(world).await.into_iter();
    let living = pods.filter(|pod| pod.metadata.deletion_timestamp.is_none());
    let containers = living.filter_map(|pod| pod.spec).flat_map(|spec| {
        let init = spec.init_containers.unwrap_or_default();
        spec.containers.into_iter().chain(init)
    });
    let named = containers.filter(|found| found.name == container);
    named.map(|found| found.image.unwrap_or_default()).collect()
}

/// Deletes every pod, and waits until there are others and none of these is left.
pub(crate) async fn replace_pods(world: &World) {
    let before: Vec<_> = pods(world).await.iter().map(Pod::uid).collect();
    let api = world.namespace.api::<Pod>();
    let all = ListParams::default();
    let deleted = api.delete_collection(&DeleteParams::default(), &all).await;
    deleted.expect("deleted");
    let replaced = eventually(SOON, "other pods", async || {
        let now = api.list(&all).await.map_err(|error| error.to_string())?;
        let is_new = |pod: &Pod| !before.contains(&pod.uid());
        (now.items.len() >= before.len() && now.iter().all(is_new))
            .then_some(())
            .ok_or_else(|| format!("{} pods", now.items.len()))
    });
    replaced.await.unwrap_or_else(|error| panic!("{error}"));
}
