//! Reasons that no other test comes by, each as a user would see it.

use std::sync::{Arc, Mutex};

use kube_autorollout_testbed::{
    image::{Behaviour, Image, ImageIndex, Pusher},
    registry::{ALICE, Access},
    workload,
    workload::eventually,
};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

use crate::harness::{SOON, World};

#[tokio::test]
async fn a_rollout_that_fails_is_told_with_its_pod_long_before_the_next_tick() {
    let (world, controller) = World::with_web("fails", "interval: 1h").await;
    assert_eq!(controller.stop().await, Some(0));
    let crashes = world.version(2).behaviour(Behaviour::Crashes);
    world.push(&crashes, "app").await;
    controller.start().await;
    let metrics = controller.until_all("NotConverging", 1).await;
    assert!((metrics.rollouts("not_converging") - 1.0).abs() < f64::EPSILON);
    let note = world.until_event("web", "NotConverging").await;
    assert!(note.contains("CrashLoopBackOff in pod web-"), "{note}");
}

#[tokio::test]
async fn a_record_that_the_pods_do_not_follow_is_told_and_left_alone() {
    for (hint, policy, reason) in [
        ("alias", "Always", "RuntimeReportsAlias"),
        ("cached", "IfNotPresent", "PullPolicy"),
    ] {
        let world = World::new(hint).await;
        world.push(&world.version(1), "app").await;
        let web = workload::Deployment::named("web")
            .container("app", &world.image("app"))
            .pull_policy(policy);
        world.create(web.labelled()).await;
        // As if it had been rolled out already: a manifest that was copied from another cluster.
        let new = world.version(2);
        let record = json!({ "app": new.digest().to_string() }).to_string();
        let annotations = json!({ "kube-autorollout/digests": record });
        let template =
            json!({ "spec": { "template": { "metadata": { "annotations": annotations } } } });
        world.patch("web", template).await;
        world.rolled_out("web").await;
        world.push(&new, "app").await;
        let controller = world.controller("").await;
        let metrics = controller.until_all("NotConverging", 1).await;
        let outdated = metrics.value("workload_outdated", &[("name", "web")]);
        assert_eq!(outdated, Some(1.0));
        let note = world.until_event("web", "NotConverging").await;
        assert!(note.contains(reason), "{note}");
        controller.checks("web", 2).await;
        assert_eq!(world.patches(), 0);
    }
}

#[tokio::test]
async fn a_workload_of_which_every_container_is_left_out_or_pinned_says_so() {
    let world = World::new("left-out").await;
    let old = world.version(1);
    world.push(&old, "app").await;
    let pinned = format!("{}@{}", world.image("app"), old.digest());
    let excluded = workload::Deployment::named("excluded")
        .container("app", &world.image("app"))
        .container("pinned", &pinned)
        .annotation("kube-autorollout/exclude-containers", "app");
    world.create(excluded.labelled()).await;
    world.rolled_out("excluded").await;
    let controller = world.controller("").await;
    controller
        .until_logged(&["decided", "/excluded ", "Skipped", "Excluded"])
        .await;
    assert_eq!(world.patches(), 0);
}

#[tokio::test]
async fn an_index_without_the_platform_that_counts_is_no_reason_to_roll_out() {
    let world = World::new("platform").await;
    world.push(&ImageIndex::of([world.version(1)]), "app").await;
    world.deploy("web", "app").await;
    let controller = world.controller("platforms: [linux/s390x]").await;
    controller.until_all("UpToDate", 1).await;
    world.push(&ImageIndex::of([world.version(2)]), "app").await;
    controller.until_all("Unknown", 1).await;
    let note = world.until_event("web", "RegistryCheckFailed").await;
    assert!(note.contains("NoMatchingPlatform"), "{note}");
    assert_eq!(world.patches(), 0);
}

/// What a registry answers to everything, until it is told another answer.
#[derive(Clone, Default)]
struct Script(Arc<Mutex<String>>);

impl Script {
    fn answer(&self, text: &str) {
        let head = text.replace('\n', "\r\n");
        let answer = format!("HTTP/1.1 {head}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        *self.0.lock().expect("no panic") = answer;
    }

    /// Answers for ever.
    async fn serve(self, listener: TcpListener) {
        let mut connections = JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            connections.spawn(self.clone().reply(stream));
        }
    }

    async fn reply(self, mut stream: TcpStream) {
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            match stream.read_u8().await {
                Ok(byte) => request.push(byte),
                Err(_) => return,
            }
        }
        let answer = self.0.lock().expect("no panic").clone();
        // A client that has left needs no answer.
        drop(stream.write_all(answer.as_bytes()).await);
    }
}

/// What a registry answers, and the reason that follows from it.
const ANSWERS: &[(&str, &str)] = &[
    ("404 Not Found", "TagNotFound"),
    ("403 Forbidden", "Denied"),
    (
        "401 Unauthorized\nwww-authenticate: Negotiate",
        "UnsupportedChallenge",
    ),
    (
        "307 Temporary Redirect\nlocation: http://10.0.0.1/elsewhere",
        "RedirectRefused",
    ),
    ("200 OK\ncontent-type: text/html", "UnsupportedMediaType"),
    ("500 Internal Server Error", "Server"),
    ("429 Too Many Requests\nretry-after: 1", "RateLimited"),
];

#[tokio::test]
async fn each_way_in_which_a_registry_fails_has_its_reason() {
    let world = World::new("failing").await;
    let registry = world.testbed.start_registry(Access::Plain).await;
    let registry = registry.expect("a registry");
    let pusher = Pusher::new(registry.access_as(ALICE)).expect("a pusher");
    let image = Image::new("failing-1");
    pusher.push(&image, "app", "latest").await.expect("pushed");
    let image = format!("{}/app:latest", registry.host());
    let web = workload::Deployment::named("web").container("app", &image);
    world.create(web.labelled()).await;
    world.rolled_out("web").await;
    let controller = world.controller("").await;
    controller.until_all("UpToDate", 1).await;

    // Another server takes its place.
    registry.stop();
    let script = Script::default();
    script.answer(ANSWERS[0].0);
    let listener = TcpListener::bind(registry.host()).await.expect("its port");
    let mut servers = JoinSet::new();
    servers.spawn(script.clone().serve(listener));
    for (answer, reason) in ANSWERS {
        script.answer(answer);
        controller
            .until_logged(&["decided", "/web ", "Unknown", &format!("\"{reason}\"")])
            .await;
        controller
            .until_logged(&["WARN", &format!("container app: {reason}: ")])
            .await;
    }
    assert_eq!(world.patches(), 0);
    let told = eventually(SOON, "an Event for each", async || {
        let told = world.events("web", "RegistryCheckFailed").await;
        let is_told = |reason: &str| told.iter().any(|note| note.contains(reason));
        if ANSWERS.iter().all(|(_, reason)| is_told(reason)) {
            Ok(told)
        } else {
            Err(format!("{told:?}"))
        }
    });
    let told = told.await.unwrap_or_else(|error| panic!("{error}"));
    for (_, reason) in ANSWERS {
        let events = told.iter().filter(|note| note.contains(reason));
        assert_eq!(events.count(), 1, "{reason}: {told:?}");
    }
}
