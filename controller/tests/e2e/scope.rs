//! Where workloads are watched: a role in each namespace is enough, and a missing one does not affect other namespaces.

use k8s_openapi::api::{
    apps::v1::Deployment,
    rbac::v1::{ClusterRole, ClusterRoleBinding, PolicyRule, Role, RoleBinding},
};
use kube::{Api, api::PostParams};
use kube_autorollout_testbed::{
    Namespace,
    controller::{self, SERVICE_ACCOUNT},
    workload::{self, eventually, rolled_out},
};
use serde_json::{Value, json};

use crate::harness::{SOON, World, parsed};

/// Another namespace with a labelled Deployment of the world's tag `app`.
async fn other(world: &World, hint: &str) -> Namespace {
    let namespace = world.testbed.namespace(hint).await.expect("a namespace");
    let image = world.image("app");
    let web = workload::Deployment::named("web").container("app", &image);
    let client = namespace.client();
    let created = web.labelled().create(&client, namespace.name()).await;
    created.expect("created");
    let complete = rolled_out(&namespace.api::<Deployment>(), "web", SOON).await;
    complete.unwrap_or_else(|error| panic!("{error}"));
    namespace
}

/// Gives the world's controller these rights in another namespace.
async fn permit(world: &World, namespace: &Namespace, rules: Vec<PolicyRule>) {
    let role = json!({ "metadata": { "name": SERVICE_ACCOUNT }, "rules": rules });
    create::<Role>(&namespace.api(), role).await;
    create::<RoleBinding>(&namespace.api(), binding(world, SERVICE_ACCOUNT, "Role")).await;
}

/// Gives the world's controller these rights in all namespaces.
pub(crate) async fn permit_everywhere(world: &World, rules: Vec<PolicyRule>) {
    let (client, name) = (world.namespace.client(), world.namespace.name());
    let role = json!({ "metadata": { "name": name }, "rules": rules });
    create::<ClusterRole>(&Api::all(client.clone()), role).await;
    let binding = binding(world, name, "ClusterRole");
    create::<ClusterRoleBinding>(&Api::all(client), binding).await;
}

fn binding(world: &World, name: &str, kind: &str) -> Value {
    json!({
        "metadata": { "name": name },
        "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": name },
        "subjects": [{ "kind": "ServiceAccount", "name": SERVICE_ACCOUNT, "namespace": world.namespace.name() }],
    })
}

async fn create<K>(api: &Api<K>, object: Value)
where
    K: Clone + std::fmt::Debug + serde::Serialize + serde::de::DeserializeOwned,
{
    let created = api.create(&PostParams::default(), &parsed(object)).await;
    created.expect("created");
}

/// Waits until the containers of the namespace run the image of this marker.
async fn until_running(world: &World, namespace: &Namespace, marker: &str) {
    let running = eventually(SOON, "running the image", async || {
        let running = world.testbed.nodes().running(namespace.name());
        let markers: Vec<_> = running
            .into_iter()
            .map(|container| container.marker)
            .collect();
        if markers == [marker] {
            Ok(())
        } else {
            Err(format!("{markers:?}"))
        }
    });
    running.await.unwrap_or_else(|error| panic!("{error}"));
}

#[tokio::test]
async fn a_role_in_each_namespace_is_enough_and_a_missing_one_disturbs_no_other() {
    let world = World::new("scope").await;
    world.push(&world.version(1), "app").await;
    world.deploy("web", "app").await;
    let permitted = other(&world, "scope-permitted").await;
    permit(&world, &permitted, controller::rights(&[])).await;
    let forbidden = other(&world, "scope-forbidden").await;
    let names = [&world.namespace, &permitted, &forbidden].map(Namespace::name);
    let configuration = format!("watch: {{ namespaces: {names:?} }}");
    let controller = world.controller(&configuration).await;
    controller.until_all("UpToDate", 2).await;
    let line = controller.until_logged(&["WARN", "cannot watch"]).await;
    assert!(line.contains(forbidden.name()), "{line}");

    world.push(&world.version(2), "app").await;
    world.until_running(&world.marker(2), 1).await;
    until_running(&world, &permitted, &world.marker(2)).await;
    until_running(&world, &forbidden, &world.marker(1)).await;

    // A role that comes later is found without a restart.
    permit(&world, &forbidden, controller::rights(&[])).await;
    until_running(&world, &forbidden, &world.marker(2)).await;
    controller.until_all("UpToDate", 3).await;
    assert_eq!(world.patches(), 3);
}

#[tokio::test]
async fn all_namespaces_are_watched_with_a_cluster_role() {
    let world = World::new("all").await;
    world.push(&world.version(1), "app").await;
    world.deploy("web", "app").await;
    let second = other(&world, "all-second").await;
    // The cluster is shared with other tests, so only watching is permitted everywhere.
    permit(&world, &second, controller::rights(&[])).await;
    let watching = controller::rule("apps", "deployments", &["list", "watch"]);
    permit_everywhere(&world, vec![watching]).await;
    let controller = world.controller("watch: { namespaces: ['*'] }").await;
    world.push(&world.version(2), "app").await;
    world.until_running(&world.marker(2), 1).await;
    until_running(&world, &second, &world.marker(2)).await;
    for namespace in [world.namespace.name(), second.name()] {
        let labels = [("namespace", namespace), ("state", "UpToDate")];
        controller
            .until("up to date", |metrics| {
                metrics.value("workloads", &labels) == Some(1.0)
            })
            .await;
    }
    assert_eq!(world.patches(), 2);
}
