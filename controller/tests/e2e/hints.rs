//! Hints: an announced image is checked at once, whatever the schedule.

mod load;
mod oidc;
mod waits;

use std::{fs, time::Instant};

use kube_autorollout_testbed::{
    hints::{self, SECRET},
    image::{Content as _, Pusher},
    registry::{ALICE, Access},
    workload,
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    process::Command,
};

use crate::harness::{Controller, SOON, World};

/// Where a controller takes hints.
struct Hooks(hints::Hooks);

impl Hooks {
    fn of(world: &World) -> Self {
        Self(hints::Hooks::new(world.testbed.programs()).expect("a port"))
    }

    /// A configuration with the receivers `ci` and `registry`, and a schedule that is no help.
    fn configuration(&self) -> String {
        let secret = self.0.secret_file();
        let ci = json!({ "name": "ci", "type": "generic", "secretFile": secret, "mayWait": true });
        format!("interval: 24h\nhints: {}\n", self.0.configuration([ci]))
    }

    /// Sends a request to a receiver; returns the status of the answer and the whole of it.
    async fn post(&self, path: &str, authorization: &str, body: &str) -> (u16, String) {
        let address = ("127.0.0.1", self.0.port());
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

    /// The same for an image, and waits for its workloads.
    async fn wait(&self, image: &str, wait: &str) -> (u16, Value) {
        let body = json!({ "image": image }).to_string();
        let path = format!("/hooks/ci?wait={wait}");
        let (status, answer) = self.post(&path, &format!("Bearer {SECRET}"), &body).await;
        let (_, body) = answer.split_once("\r\n\r\n").expect("a body");
        (status, serde_json::from_str(body).expect("JSON"))
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

#[tokio::test]
async fn the_command_for_ci_waits_and_its_exit_code_says_how_it_ended() {
    let (world, hooks, _controller) = with_web("command").await;
    let image = world.image("app");
    let run = async |arguments: &[&str], image: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kube-autorollout"));
        let url = hooks.0.url("ci");
        command
            .args(["hint", "--url", &url, "--token-file"])
            .arg(hooks.0.secret_file());
        command.args(arguments).arg(image).env_clear();
        let output = command.output().await.expect("the program runs");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (
            output.status.code(),
            text(&output.stdout),
            text(&output.stderr),
        )
    };
    let (code, said, _) = run(&[], &image).await;
    assert_eq!((code, &*said), (Some(0), "accepted\n"));
    let next = world.version(2);
    world.push(&next, "app").await;
    let (code, said, progress) = run(&["--wait", "60s"], &image).await;
    assert_eq!(code, Some(0), "{said}");
    let line = format!(
        "Deployment {}/web: rolled out, {}",
        world.namespace.name(),
        next.root_digest()
    );
    assert!(said.contains(&line), "{said}");
    assert_eq!(progress, format!("waiting for {image}\n"));
    let (code, said, _) = run(&["--wait", "60s"], "registry.example.org/nobody/runs:this").await;
    assert_eq!(code, Some(1), "{said}");
    fs::write(hooks.0.secret_file(), "another").expect("a file");
    let other = tempfile::NamedTempFile::new().expect("a file");
    fs::write(other.path(), SECRET).expect("a file");
    let mut command = Command::new(env!("CARGO_BIN_EXE_kube-autorollout"));
    let url = hooks.0.url("ci");
    command
        .args(["hint", "--url", &url, "--token-file"])
        .arg(other.path())
        .arg(&image);
    let output = command
        .env_clear()
        .output()
        .await
        .expect("the program runs");
    assert_eq!(output.status.code(), Some(2), "the secret was replaced");
}

#[tokio::test]
async fn a_follower_hands_hints_on_to_the_leader() {
    let world = World::new("handed-on").await;
    world.push(&world.version(1), "app").await;
    world.deploy("web", "app").await;
    let [first, second] = [Hooks::of(&world), Hooks::of(&world)];
    let elected = |hooks: &Hooks| {
        format!(
            "leaderElection: {{ enabled: true }}\n{}",
            hooks.configuration()
        )
    };
    let leader = world.controller(&elected(&first)).await;
    leader.until_all("UpToDate", 1).await;
    let follower = world.controller(&elected(&second)).await;
    world.push(&world.version(2), "app").await;
    let (status, answer) = second.wait(&world.image("app"), "60s").await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(answer["workloads"][0]["rolledOut"], true);
    assert_eq!(world.patches(), 1);
    let checked = [("receiver", "ci"), ("outcome", "checked")];
    assert_eq!(
        leader.metrics().await.value("hints_total", &checked),
        Some(1.0)
    );
    let strange = json!({ "image": world.image("app") }).to_string();
    assert_eq!(
        second.post("/hooks/ci", "Bearer wrong", &strange).await.0,
        401
    );

    leader.kill();
    let (status, answer) = second
        .post("/hooks/ci", &format!("Bearer {SECRET}"), &strange)
        .await;
    assert!(status == 503 || status == 202, "{answer}");
    follower.until_all("UpToDate", 1).await;
    assert_eq!(second.hint(&world.image("app")).await, 202);
}

#[tokio::test]
async fn the_registrys_own_notification_of_a_push_leads_to_a_patch() {
    let (world, hooks, controller) = with_web("notified").await;
    let registry = world.testbed.start_registry(Access::Plain).await;
    let registry = registry.expect("a registry");
    registry
        .notify(&hooks.0.notifications())
        .await
        .expect("it is back");
    let pusher = Pusher::new(registry.access_as(ALICE)).expect("a pusher");
    let push = async |version| {
        let image = world.version(version);
        pusher
            .push(&image, world.namespace.name(), "app")
            .await
            .expect("pushed");
    };
    push(1).await;
    let image = format!("{}/{}:app", registry.host(), world.namespace.name());
    let api = workload::Deployment::named("api").container("app", &image);
    world.create(api.labelled()).await;
    world.rolled_out("api").await;
    controller.until_all("UpToDate", 2).await;
    push(2).await;
    world.until_event("api", "RolloutCompleted").await;
    assert_eq!(world.patches(), 1);
}
