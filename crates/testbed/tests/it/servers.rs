//! The servers: control plane and audit log, registries and their access.
#![cfg(test)] // so that clippy knows the functions between the tests as tests' own

use std::time::Duration;

use k8s_openapi::api::{
    apps::v1::{Deployment, ReplicaSet},
    core::v1::{Pod, ServiceAccount},
};
use kube::{
    Api, Client, Config,
    api::{ListParams, PostParams},
    config::{KubeConfigOptions, Kubeconfig},
};
use kube_autorollout_testbed::{
    control_plane::{ControlPlane, NodeGrace, Request},
    programs::Programs,
    shared,
    workload::{self, eventually},
};

const SOON: Duration = Duration::from_secs(30);

#[tokio::test]
async fn a_deployment_gets_pods_and_the_audit_log_has_its_creation_once() {
    let testbed = shared().await;
    let namespace = testbed.namespace("servers").await.expect("a namespace");
    let audit = testbed.control_plane().audit();
    let mark = audit.mark().expect("readable");
    let deployment = workload::Deployment::named("web")
        .replicas(2)
        .container("app", "nowhere.invalid/web:v1")
        .build();
    let deployments = namespace.api::<Deployment>();
    let created = deployments
        .create(&PostParams::default(), &deployment)
        .await;
    created.expect("created");
    let creation = |request: &Request| {
        let Request {
            verb,
            resource,
            namespace: of,
            ..
        } = request;
        of == namespace.name() && verb == "create" && resource == "deployments"
    };
    let requests = audit.requests_since(mark, creation).expect("readable");
    assert_eq!(requests.len(), 1, "{requests:?}");
    assert_eq!(
        (requests[0].code, &*requests[0].user),
        (201, "testbed-admin")
    );
    let pods = namespace.api::<Pod>();
    eventually(SOON, "two pods of one replica set", async || {
        let sets = namespace
            .api::<ReplicaSet>()
            .list(&ListParams::default())
            .await;
        let pods = pods.list(&ListParams::default()).await;
        match (
            sets.expect("listed").items.len(),
            pods.expect("listed").items.len(),
        ) {
            (1, 2) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await
    .expect("the controllers are at work");
}

#[tokio::test]
async fn a_service_account_has_its_own_kubeconfig_without_rights() {
    let testbed = shared().await;
    let namespace = testbed.namespace("account").await.expect("a namespace");
    let control_plane = testbed.control_plane();
    let file = control_plane
        .kubeconfig_for(namespace.name(), "default")
        .await
        .expect("a token");
    let kubeconfig = Kubeconfig::read_from(file).expect("readable");
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
        .await
        .expect("complete");
    assert_eq!(config.default_namespace, namespace.name());
    let client = Client::try_from(config).expect("a client");
    let pods: Api<Pod> = Api::default_namespaced(client);
    let error = pods
        .list(&ListParams::default())
        .await
        .expect_err("no rights");
    assert!(
        matches!(&error, kube::Error::Api(status) if status.is_forbidden()),
        "{error:?}"
    );
    let user = format!("system:serviceaccount:{}:default", namespace.name());
    let requests = control_plane
        .audit()
        .requests(|request| request.user == user);
    let requests = requests.expect("readable");
    assert_eq!(requests.len(), 1);
    assert_eq!(requests[0].code, 403);
}

#[tokio::test]
async fn an_api_server_comes_back_at_its_address_with_its_objects() {
    let programs = Programs::find(&|_| {}).expect("found by the other tests' testbed too");
    let control_plane = ControlPlane::start(&programs, NodeGrace::default())
        .await
        .expect("it starts");
    let accounts: Api<ServiceAccount> = Api::default_namespaced(control_plane.client());
    accounts.get("default").await.expect("it is there");
    control_plane.stop_api_server();
    accounts.get("default").await.expect_err("nobody listens");
    control_plane
        .start_api_server()
        .await
        .expect("it starts again");
    accounts.get("default").await.expect("it is still there");
}
