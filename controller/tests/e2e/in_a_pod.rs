//! The controller's own image in pods of a cluster, run for real: as the kubelet starts it, asks its probes and reports how it
//! ended. Needs root and `chroot`.

use std::path::Path;

use k8s_openapi::api::{
    apps::v1::Deployment,
    core::v1::{ConfigMap, Pod, Service},
};
use kube::{Api, ResourceExt as _, api::ListParams, runtime::wait::await_condition};
use kube_autorollout_testbed::{controller::SERVICE_ACCOUNT, process::Port};
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::harness::{SOON, World, parsed};

/// Where the configuration is mounted.
const CONFIGURATION: &str = "/etc/kube-autorollout/config.yaml";

/// A world in whose repository the tag `controller` is the controller's own image, which runs for real.
async fn with_image(hint: &str) -> World {
    let world = World::new(hint).await;
    let program = Path::new(env!("CARGO_BIN_EXE_kube-autorollout"));
    let repository = format!("{}/controller", world.namespace.name());
    let real = world.testbed.run_for_real(&repository, program);
    real.expect("the program's files");
    let image = world.version(0);
    let pushed = world.pusher.push(&image, &repository, "own").await;
    pushed.expect("pushed");
    world
}

fn image(world: &World) -> String {
    let (host, namespace) = (world.testbed.registry().host(), world.namespace.name());
    format!("{host}/{namespace}/controller:own")
}

/// The pod of an installation: a numeric user, a mounted configuration, and the variables of a Service of our name.
fn pod_spec(world: &World, port: &Port) -> Value {
    let probe = |path: &str| json!({ "httpGet": { "path": path, "port": "http" } });
    json!({
        "serviceAccountName": SERVICE_ACCOUNT,
        "securityContext": { "runAsNonRoot": true, "runAsUser": 65532, "runAsGroup": 65532 },
        "containers": [{
            "name": "kube-autorollout",
            "image": image(world),
            "ports": [{ "name": "http", "containerPort": port.number() }],
            "env": [
                { "name": "CONFIG_FILE", "value": CONFIGURATION },
                { "name": "PORT", "valueFrom": { "configMapKeyRef": { "name": "config", "key": "port" } } },
            ],
            "livenessProbe": probe("/health/live"),
            "readinessProbe": probe("/health/ready"),
            "volumeMounts": [{ "name": "config", "mountPath": "/etc/kube-autorollout" }],
        }],
        "volumes": [{ "name": "config", "configMap": { "name": "config" } }],
    })
}

/// The only pod with this label, and its log.
async fn log(world: &World, app: &str) -> String {
    let pods: Api<Pod> = world.namespace.api();
    let labelled = ListParams::default().labels(&format!("app={app}"));
    let pods = pods.list(&labelled).await.expect("pods").items;
    let [pod] = &*pods else {
        panic!("{} pods", pods.len())
    };
    let (nodes, namespace) = (world.testbed.nodes(), world.namespace.name());
    nodes.log(
        &image(world),
        namespace,
        &pod.name_any(),
        "kube-autorollout",
    )
}

#[tokio::test]
async fn in_a_pod_beside_a_service_of_its_own_name_it_starts_and_rolls_a_workload_out() {
    let world = with_image("in-a-pod").await;
    let port = world.testbed.port().expect("a port");
    world
        .create_object(&parsed::<Service>(json!({
            "metadata": { "name": "kube-autorollout" },
            "spec": { "ports": [{ "name": "http", "port": 8080 }], "selector": { "app": "own" } },
        })))
        .await;
    let configuration = "interval: 1s\nwebserver: { port: \"${PORT}\" }\n\
                         registries: [{ hostnamePattern: '127.0.0.1:*', plainHttp: true }]\n";
    world
        .create_object(&parsed::<ConfigMap>(json!({
            "metadata": { "name": "config" },
            "data": { "config.yaml": configuration, "port": port.number().to_string() },
        })))
        .await;
    world.push(&world.version(1), "app").await;
    world.deploy("web", "app").await;
    world
        .create_object(&parsed::<Deployment>(json!({
            "metadata": { "name": "own" },
            "spec": {
                "selector": { "matchLabels": { "app": "own" } },
                "template": {
                    "metadata": { "labels": { "app": "own" } },
                    "spec": pod_spec(&world, &port),
                },
            },
        })))
        .await;
    let ready = world.until("own", |own| {
        own.status
            .as_ref()
            .is_some_and(|status| status.ready_replicas == Some(1))
    });
    ready.await;

    world.push(&world.version(2), "app").await;
    let rolled_out = world.until("web", |web| {
        let template = web.spec.as_ref().map(|spec| &spec.template);
        let metadata = template.and_then(|template| template.metadata.as_ref());
        let annotations = metadata.and_then(|metadata| metadata.annotations.as_ref());
        annotations.is_some_and(|found| found.contains_key("kube-autorollout/restartedAt"))
    });
    rolled_out.await;
    world.rolled_out("web").await;
    let log = log(&world, "own").await;
    assert!(
        !log.contains("unknown environment variable"),
        "Service variables warn: {log}"
    );
}

#[tokio::test]
async fn a_pod_that_is_not_restarted_ends_with_the_exit_code_of_check() {
    let world = with_image("check-pod").await;
    world.push(&world.version(1), "app").await;
    for (name, tag, phase, code) in [
        ("good", "app", "Succeeded", 0),
        ("bad", "none", "Failed", 1),
    ] {
        let variable = "KUBE_AUTOROLLOUT_REGISTRIES";
        world.create_object(&parsed::<Pod>(json!({
            "metadata": { "name": name },
            "spec": {
                "restartPolicy": "Never",
                "containers": [{
                    "name": "kube-autorollout",
                    "image": image(&world),
                    "args": ["check", "$(IMAGE)"],
                    "env": [
                        { "name": "IMAGE", "value": world.image(tag) },
                        { "name": variable, "value": "[{ hostnamePattern: '127.0.0.1:*', plainHttp: true }]" },
                    ],
                }],
            },
        }))).await;
        let ended = await_condition(world.namespace.api::<Pod>(), name, |pod: Option<&Pod>| {
            let status = pod.and_then(|pod| pod.status.as_ref());
            let phase = status.and_then(|status| status.phase.as_deref());
            matches!(phase, Some("Succeeded" | "Failed"))
        });
        let pod = timeout(SOON, ended)
            .await
            .expect("in time")
            .expect("a watch");
        let status = pod.and_then(|pod| pod.status).expect("a status");
        let nodes = world.testbed.nodes();
        let log = nodes.log(
            &image(&world),
            world.namespace.name(),
            name,
            "kube-autorollout",
        );
        assert_eq!(status.phase.as_deref(), Some(phase), "{log}");
        let containers = status.container_statuses.unwrap_or_default();
        let state = containers
            .first()
            .and_then(|container| container.state.as_ref());
        let ended = state.and_then(|state| state.terminated.as_ref());
        assert_eq!(ended.map(|ended| ended.exit_code), Some(code), "{log}");
    }
}
