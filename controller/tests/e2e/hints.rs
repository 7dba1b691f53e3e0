//! Hints: an announced image is checked at once, whatever the schedule says.

use std::{fs, path::PathBuf, time::Instant};

use kube_autorollout_testbed::process::Port;
use serde_json::json;
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::harness::{Controller, SOON, World};

const SECRET: &str = "correct-horse-battery-staple-4242";

/// Where a controller takes hints, and with what they are authenticated.
struct Hooks {
    port: Port,
    folder: TempDir,
}

impl Hooks {
    fn of(world: &World) -> Self {
        let folder = TempDir::new().expect("a folder");
        fs::write(folder.path().join("secret"), SECRET).expect("a file");
        Self {
            port: world.testbed.port().expect("a port"),
            folder,
        }
    }

    fn secret_file(&self) -> PathBuf {
        self.folder.path().join("secret")
    }

    /// A configuration with one receiver, `ci`, and a schedule that is no help.
    fn configuration(&self) -> String {
        let secret = self.secret_file();
        let receivers = json!([{ "name": "ci", "type": "generic", "secretFile": secret }]);
        let port = self.port.number();
        format!("interval: 24h\nhints: {{ port: {port}, receivers: {receivers} }}\n")
    }

    /// Sends a request to a receiver; returns the status of the answer and the whole of it.
    async fn post(&self, path: &str, authorization: &str, body: &str) -> (u16, String) {
        let address = ("127.0.0.1", self.port.number());
        let mut stream = TcpStream::connect(address).await.expect("a connection");
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: hints\r\nAuthorization: {authorization}\r\nContent-Length: {}\r\n\
             Connection: close\r\n\r\n{body}",
            body.len(),
        );
        stream.write_all(request.as_bytes()).await.expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("an answer");
        let status = answer
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok());
        (status.expect("a status"), answer)
    }

    async fn hint(&self, image: &str) -> u16 {
        let body = json!({ "image": image }).to_string();
        self.post("/hooks/ci", &format!("Bearer {SECRET}"), &body)
            .await
            .0
    }
}

async fn with_web(hint: &str) -> (World, Hooks, Controller) {
    let world = World::new(hint).await;
    world.push(&world.version(1), "app").await;
    world.deploy("web", "app").await;
    let hooks = Hooks::of(&world);
    let controller = world.controller_as_it_is(&hooks.configuration()).await;
    controller.until_all("UpToDate", 1).await;
    (world, hooks, controller)
}

#[tokio::test]
async fn an_announced_image_is_rolled_out_long_before_the_next_tick() {
    let (world, hooks, controller) = with_web("hinted").await;
    world.push(&world.version(2), "app").await;
    let begun = Instant::now();
    assert_eq!(hooks.hint(&world.image("app")).await, 202);
    world.until_running(&world.marker(2), 1).await;
    assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
    assert_eq!(world.patches(), 1);
    let metrics = controller.metrics().await;
    let checked = [("receiver", "ci"), ("outcome", "checked")];
    assert_eq!(metrics.value("hints_total", &checked), Some(1.0));
    assert_eq!(metrics.value("hint_to_patch_seconds_count", &[]), Some(1.0));
}

#[tokio::test]
async fn a_hint_that_came_before_the_push_is_followed_by_other_checks() {
    let (world, hooks, _controller) = with_web("early").await;
    assert_eq!(hooks.hint(&world.image("app")).await, 202);
    world.push(&world.version(2), "app").await;
    world.until_running(&world.marker(2), 1).await;
    assert_eq!(world.patches(), 1);
}

#[tokio::test]
async fn who_is_not_authenticated_learns_nothing_and_causes_nothing() {
    let (world, hooks, controller) = with_web("strange").await;
    world.push(&world.version(2), "app").await;
    let image = json!({ "image": world.image("app") }).to_string();
    for authorization in ["Bearer wrong", "Basic Og==", ""] {
        let (status, answer) = hooks.post("/hooks/ci", authorization, &image).await;
        assert_eq!(status, 401, "{answer}");
    }
    let right = format!("Bearer {SECRET}");
    let (status, _) = hooks.post("/hooks/other", &right, &image).await;
    assert_eq!(status, 404);
    let (status, _) = hooks.post("/hooks/ci", &right, "no JSON").await;
    assert_eq!(status, 400);
    let nobody = json!({ "image": "registry.example.org/nobody/runs:this" }).to_string();
    let (unknown, answer) = hooks.post("/hooks/ci", &right, &nobody).await;
    let metrics = controller.metrics().await;
    for (outcome, count) in [
        ("unauthenticated", 3.0),
        ("malformed", 1.0),
        ("unknown_image", 1.0),
    ] {
        let labels = [("receiver", "ci"), ("outcome", outcome)];
        assert_eq!(
            metrics.value("hints_total", &labels),
            Some(count),
            "{outcome}"
        );
    }
    assert_eq!(world.patches(), 0);
    assert!(!controller.log().contains(SECRET));
    // The answer is the same whatever runs here.
    let (known, same) = hooks.post("/hooks/ci", &right, &image).await;
    let without_date = |answer: &str| {
        let lines = answer.lines().filter(|line| !line.starts_with("date"));
        lines.collect::<Vec<_>>().join("\n")
    };
    assert_eq!(
        (unknown, without_date(&answer)),
        (known, without_date(&same))
    );
}
