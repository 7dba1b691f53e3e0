//! A Secret that changes reaches the running controller, as it is mounted as a folder: of a registry, and of a sender of
//! hints.

use k8s_openapi::api::{apps::v1::Deployment, core::v1::Secret};
use kube::api::{Patch, PatchParams, PostParams};
use kube_autorollout_testbed::{
    image::{Image, Pusher},
    programs::Program,
    registry::{ALICE, Access},
    workload::{self, eventually, rolled_out, wait_until},
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

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

#[tokio::test]
async fn an_installed_controller_takes_hints_and_both_secrets_of_a_rotation() {
    let place = Place::new("hints", Program::Helm4).await;
    let port = place.testbed.port().expect("a port");
    let secrets = place.namespace.api::<Secret>();
    let secret = json!({ "now": "first", "before": "oldest" });
    make(&place, "ci", &secret).await;
    let image = format!("{}:own", place.image("app"));
    let workloads = place.namespace.api::<Deployment>();
    place.push("app", "first", "own").await;
    let web = workload::Deployment::named("web").container("app", &image);
    let web = web.labelled().build();
    let created = workloads.create(&PostParams::default(), &web).await;
    created.expect("created");
    rolled_out(&workloads, "web", SOON).await.expect("up");
    place.helm(
        &["install", RELEASE, CHART, "--wait"],
        &values(&place, port.number()),
    );
    let answers = async |secret: &str, expected: u16| {
        let answered = eventually(SOON, "the answer", async || {
            match status(port.number(), secret, &image).await {
                Ok(status) if status == expected => Ok(()),
                other => Err(format!("{other:?} instead of {expected}")),
            }
        });
        answered.await.unwrap_or_else(|error| panic!("{error}"));
    };
    answers("wrong", 401).await;
    place.push("app", "second", "own").await;
    answers("oldest", 202).await;
    let done = wait_until(&workloads, "web", SOON, is_restarted).await;
    done.unwrap_or_else(|error| panic!("{error}"));
    let rotated = Patch::Merge(json!({ "stringData": { "now": "second", "before": "first" } }));
    let patched = secrets.patch("ci", &PatchParams::default(), &rotated).await;
    patched.expect("patched");
    for (secret, expected) in [("second", 202), ("first", 202), ("oldest", 401)] {
        answers(secret, expected).await;
    }
}

/// One receiver, and a schedule that is no help.
fn values(place: &Place, port: u16) -> Value {
    let host = place.testbed.registry().host();
    let receiver = json!({
        "name": "ci",
        "type": "generic",
        "secret": { "name": "ci", "key": "now" },
        "previousSecret": { "name": "ci", "key": "before" },
    });
    json!({
        "config": {
            "interval": "24h",
            "webserver": { "port": place.port.number() },
            "registries": [{ "hostnamePattern": host, "plainHttp": true }],
        },
        "hints": { "port": port, "receivers": [receiver] },
    })
}

/// The status of the answer to a hint.
async fn status(port: u16, secret: &str, image: &str) -> Result<u16, String> {
    let body = json!({ "image": image }).to_string();
    let request = format!(
        "POST /hooks/ci HTTP/1.1\r\nHost: hints\r\nAuthorization: Bearer {secret}\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n{body}",
        body.len(),
    );
    let mut answer = String::new();
    let talked: std::io::Result<()> = async {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
        stream.write_all(request.as_bytes()).await?;
        stream.read_to_string(&mut answer).await.map(drop)
    }
    .await;
    talked.map_err(|error| error.to_string())?;
    let status = answer.split(' ').nth(1).and_then(|word| word.parse().ok());
    status.ok_or(answer)
}
