//! A Secret that changes reaches the running controller: the values mount it as a folder.

use k8s_openapi::api::{apps::v1::Deployment, core::v1::Secret};
use kube::api::{Patch, PatchParams, PostParams};
use kube_autorollout_testbed::{
    image::{Image, Pusher},
    programs::Program,
    registry::{ALICE, Access},
    workload::{self, rolled_out, wait_until},
};
use serde_json::{Value, json};

use crate::{
    helm::{CHART, SOON},
    install::{Place, RELEASE, is_restarted},
};

#[tokio::test]
async fn a_rotated_secret_is_used_by_the_running_pod_without_a_restart() {
    let place = Place::new("rotation", Program::Helm3).await;
    let registry = place.testbed.start_registry(Access::Htpasswd).await;
    let registry = registry.expect("a registry");
    let pusher = Pusher::new(registry.access_as(ALICE)).expect("a pusher");
    let push = async |content: &str| {
        let image = Image::new(content);
        let done = pusher.push(&image, "app", "latest").await;
        done.expect("pushed");
    };
    push("rotation first").await;
    let authority = String::from_utf8(registry.ca_certificate().to_vec()).expect("PEM");
    make(&place, "authority", &json!({ "ca.crt": authority })).await;
    make(&place, "login", &json!({ "token": "outdated" })).await;
    let web = workload::Deployment::named("web");
    let web = web.container("app", &format!("{}/app:latest", registry.host()));
    let web = web.labelled().build();
    let workloads = place.namespace.api::<Deployment>();
    let created = workloads.create(&PostParams::default(), &web).await;
    created.expect("created");
    rolled_out(&workloads, "web", SOON).await.expect("up");

    let secret =
        json!({ "type": "Opaque", "name": "login", "key": "token", "username": ALICE.name });
    let authorities = json!([{ "name": "authority", "subPath": "ca.crt", "mountPath": "/etc/ssl/certs/own.crt" }]);
    let config = json!({
        "interval": "1s",
        "logLevel": "debug",
        "webserver": { "port": place.port.number() },
        "registries": [{ "hostnamePattern": registry.host(), "secret": secret }],
        "tls": { "customCaCertificates": { "enabled": true, "secrets": authorities } },
    });
    place.helm(
        &["install", RELEASE, CHART, "--wait"],
        &json!({ "config": config }),
    );
    place.until_logged("Unauthorized").await;
    let before = place.pod().await;

    let rotated = Patch::Merge(json!({ "stringData": { "token": ALICE.password } }));
    let secrets = place.namespace.api::<Secret>();
    let patched = secrets
        .patch("login", &PatchParams::default(), &rotated)
        .await;
    patched.expect("patched");
    push("rotation second").await;
    let done = wait_until(&workloads, "web", SOON, is_restarted).await;
    done.unwrap_or_else(|error| panic!("{error}"));
    let after = place.pod().await;
    assert_eq!(after.metadata.uid, before.metadata.uid, "the same pod");
    let status = after.status.expect("a status");
    let containers = status.container_statuses.expect("containers");
    assert_eq!(containers[0].restart_count, 0);
}

async fn make(place: &Place, name: &str, data: &Value) {
    let secret = json!({ "metadata": { "name": name }, "stringData": data });
    let secret: Secret = serde_json::from_value(secret).expect("a Secret");
    let api = place.namespace.api::<Secret>();
    let made = api.create(&PostParams::default(), &secret).await;
    made.expect("created");
}
