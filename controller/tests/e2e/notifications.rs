//! Notifications about rollouts on the real control plane, to a sink on loopback.

mod burst;
mod restarts;

use std::path::Path;

use kube_autorollout_testbed::{
    image::{Behaviour, Content as _, Pusher},
    receiver::{Receiver, Reply},
    registry::{ALICE, Access, Registry},
    workload,
    workload::eventually,
};
use serde_json::{Value, json};
use tokio::process::Command;

use crate::{
    harness::{SOON, World},
    reasons::with_deadline,
};

/// Part of the path of each URL here, and of no log.
const SECRET: &str = "correct-horse-battery-staple-4242";

/// What a controller is configured with to send these events to a receiver.
pub(crate) fn configuration(receiver: &Receiver, events: &[&str]) -> String {
    let sink = json!({
        "name": "team",
        "type": "webhook",
        "url": receiver.url(&format!("/{SECRET}")),
        "events": events,
    });
    let notifications = json!({ "cluster": "prod", "sinks": [sink] });
    format!("logLevel: debug\nnotifications: {notifications}\n")
}

/// Waits for this many messages.
pub(crate) async fn messages(receiver: &Receiver, number: usize) -> Vec<Value> {
    let what = format!("{number} messages");
    let come = eventually(SOON, &what, async || {
        let bodies = receiver.bodies();
        if bodies.len() >= number {
            Ok(bodies)
        } else {
            Err(format!("{bodies:#?}"))
        }
    });
    let bodies = come.await.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(bodies.len(), number, "{bodies:#?}");
    bodies
}

#[tokio::test]
async fn a_rollout_is_one_message_with_both_versions() {
    let receiver = Receiver::start().await.expect("a receiver");
    let world = World::new("messages").await;
    let (old, new) = (
        world.version(1).released("1.4.2", "ab12"),
        world.version(2).released("1.4.3", "cd34"),
    );
    world.push(&old, "app").await;
    world.deploy("web", "app").await;
    let configuration = configuration(&receiver, &["started", "rolledOut"]);
    let controller = world.controller(&configuration).await;
    controller.until_all("UpToDate", 1).await;
    world.push(&new, "app").await;
    let [started, rolled_out] = &*messages(&receiver, 2).await else {
        panic!("two messages");
    };
    assert_eq!(started["event"], "started");
    let container = json!({
        "name": "app",
        "image": world.image("app"),
        "from": {
            "digest": old.digest().to_string(), "version": "1.4.2", "revision": "ab12",
            "source": null, "created": null,
        },
        "to": {
            "digest": new.digest().to_string(), "version": "1.4.3", "revision": "cd34",
            "source": null, "created": null,
        },
    });
    for message in [started, rolled_out] {
        assert_eq!(message["containers"], json!([container]), "{message:#}");
        let workload =
            json!({ "namespace": world.namespace.name(), "kind": "Deployment", "name": "web" });
        assert_eq!(message["workload"], workload);
        assert_eq!(message["cluster"], "prod");
    }
    assert_eq!(rolled_out["event"], "rolledOut");
    assert!(rolled_out["seconds"].is_u64(), "{rolled_out:#}");
    controller.checks("web", 2).await;
    messages(&receiver, 2).await;
    let sent = [("sink", "team"), ("outcome", "sent")];
    let metrics = controller.metrics().await;
    assert_eq!(metrics.value("notifications_total", &sent), Some(2.0));
    assert!(!controller.log().contains(SECRET), "{}", controller.log());
}

#[tokio::test]
async fn a_broken_push_does_not_converge_and_the_next_one_recovers() {
    let receiver = Receiver::start().await.expect("a receiver");
    let world = World::new("recovers").await;
    world.push(&world.version(1), "app").await;
    world.deploy("web", "app").await;
    let configuration = configuration(&receiver, &["notConverging", "failed", "recovered"]);
    let controller = world.controller(&configuration).await;
    controller.until_all("UpToDate", 1).await;
    let crashes = world.version(2).behaviour(Behaviour::Crashes);
    world.push(&crashes, "app").await;
    let [broken] = &*messages(&receiver, 1).await else {
        panic!("one message");
    };
    assert_eq!(broken["event"], "notConverging");
    assert_eq!(broken["reason"], "CrashLoopBackOff");
    assert_eq!(
        broken["containers"][0]["to"]["digest"],
        crashes.root_digest().to_string()
    );
    let detail = broken["detail"].as_str().expect("a detail");
    assert!(detail.contains("CrashLoopBackOff in pod web-"), "{detail}");
    controller.checks("web", 2).await;
    messages(&receiver, 1).await;

    let good = world.version(3);
    world.push(&good, "app").await;
    let recovered = &messages(&receiver, 2).await[1];
    assert_eq!(recovered["event"], "recovered");
    assert_eq!(
        recovered["containers"][0]["to"]["digest"],
        good.root_digest().to_string()
    );
    assert_ne!(recovered["id"], broken["id"]);
}

#[tokio::test]
async fn a_workload_that_is_held_is_reported_once() {
    let receiver = Receiver::start().await.expect("a receiver");
    let (world, controller) =
        World::with_web("held-back", &configuration(&receiver, &["heldBack"])).await;
    let hold = json!({ "metadata": { "annotations": { "kube-autorollout/hold": "true" } } });
    world.patch("web", hold).await;
    world.push(&world.version(2), "app").await;
    let [waits] = &*messages(&receiver, 1).await else {
        panic!("one message");
    };
    assert_eq!(
        (&waits["event"], &waits["reason"]),
        (&json!("heldBack"), &json!("Held"))
    );
    controller.checks("web", 2).await;
    messages(&receiver, 1).await;
    assert_eq!(world.patches(), 0);
}

#[tokio::test]
async fn a_rollout_that_takes_too_long_has_failed() {
    let receiver = Receiver::start().await.expect("a receiver");
    let (world, _controller) =
        with_deadline("failed", &configuration(&receiver, &["failed"])).await;
    let stuck = world.version(2).behaviour(Behaviour::NeverReady);
    world.push(&stuck, "app").await;
    let [failed] = &*messages(&receiver, 1).await else {
        panic!("one message");
    };
    assert_eq!(failed["reason"], "ProgressDeadlineExceeded");
    assert_eq!(failed["workload"]["name"], "web");
}

#[tokio::test]
async fn a_sink_that_hangs_delays_no_rollout() {
    let receiver = Receiver::start().await.expect("a receiver");
    receiver.reply(vec![Reply::Hang; 100]);
    let configuration = configuration(&receiver, &["started", "rolledOut"]);
    let (world, controller) = World::with_web("hanging", &configuration).await;
    for version in 2..5 {
        world.push(&world.version(version), "app").await;
        world.until_running(&world.marker(version), 1).await;
    }
    assert_eq!(world.patches(), 3);
    // The end of the process does not wait for it either.
    let begun = std::time::Instant::now();
    assert_eq!(controller.stop().await, Some(0));
    assert!(begun.elapsed() < SOON / 3, "{:?}", begun.elapsed());
    let log = controller.log();
    assert!(
        log.contains("notifications were not sent") && !log.contains(SECRET),
        "{log}"
    );
}

/// A registry that takes other passwords than the configured one.
struct Strict {
    registry: Registry,
    image: String,
    /// Its entry in the configuration.
    entry: Value,
}

impl Strict {
    async fn start(world: &World, folder: &Path, name: &str) -> Self {
        let registry = world.testbed.start_registry(Access::Htpasswd).await;
        let registry = registry.expect("a registry");
        let ca = folder.join(name);
        std::fs::write(&ca, registry.ca_certificate()).expect("a file");
        let pusher = Pusher::new(registry.access_as(ALICE)).expect("a pusher");
        let digest = pusher.push(&world.version(1), "app", "latest").await;
        digest.expect("pushed");
        let entry = json!({
            "hostnamePattern": registry.host(),
            "secret": { "username": "alice", "token": "planted-wrong-password" },
            "caCertificatePaths": [ca],
        });
        let image = format!("{}/app:latest", registry.host());
        Self {
            registry,
            image,
            entry,
        }
    }
}

#[tokio::test]
async fn a_credential_that_is_refused_is_reported_once_for_all_its_workloads() {
    let receiver = Receiver::start().await.expect("a receiver");
    let world = World::new("refused").await;
    let folder = tempfile::tempdir().expect("a folder");
    let main = Strict::start(&world, folder.path(), "main.crt").await;
    let other = Strict::start(&world, folder.path(), "other.crt").await;
    let workload = |name| workload::Deployment::named(name).container("app", &main.image);
    world.create(workload("web").labelled()).await;
    let shop = workload("shop").container("side", &other.image);
    world.create(shop.labelled()).await;
    // Without a credential, none is refused.
    let mut anonymous = Strict::start(&world, folder.path(), "anonymous.crt").await;
    let entry = anonymous.entry.as_object_mut().expect("an entry");
    entry.remove("secret").expect("a secret");
    let public = workload::Deployment::named("public").container("app", &anonymous.image);
    world.create(public.labelled()).await;
    let registries = json!([main.entry, other.entry, anonymous.entry]);
    let configuration = format!(
        "{}registries: {registries}\n",
        configuration(&receiver, &["credentialRefused"])
    );
    let controller = world.controller(&configuration).await;
    controller.until_all("Unknown", 3).await;
    let refused = messages(&receiver, 2).await;
    let mut hosts: Vec<_> = refused.iter().map(|message| &message["registry"]).collect();
    hosts.sort_by_key(|host| **host != json!(main.registry.host()));
    assert_eq!(hosts, [main.registry.host(), other.registry.host()]);
    assert!(
        refused
            .iter()
            .all(|message| message["reason"] == "Unauthorized")
    );
    for name in ["web", "shop", "public"] {
        world.until_event(name, "RegistryCheckFailed").await;
    }
    messages(&receiver, 2).await;
    let said = json!(refused).to_string() + &controller.log();
    assert!(!said.contains("planted"), "{said}");
}

#[tokio::test]
async fn the_command_sends_a_sample_and_its_exit_code_says_whether_it_was_accepted() {
    let receiver = Receiver::start().await.expect("a receiver");
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("config.yaml");
    std::fs::write(&file, configuration(&receiver, &[])).expect("a file");
    let notify = async |sink: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kube-autorollout"));
        command.args(["notify", "--test", sink]).env_clear();
        let output = command.env("CONFIG_FILE", &file).output().await;
        let output = output.expect("the program runs");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (said, log) = (text(&output.stdout), text(&output.stderr));
        assert!(
            !said.contains(SECRET) && !log.contains(SECRET),
            "{said}{log}"
        );
        (output.status.code(), said, log)
    };
    let (code, said, _) = notify("team").await;
    assert_eq!((code, &*said), (Some(0), "team: accepted (status 200)\n"));
    let [sample] = &*receiver.bodies() else {
        panic!("one message");
    };
    assert_eq!(sample["workload"]["name"], "test-message");
    receiver.reply([Reply::Status(404)]);
    let (code, said, _) = notify("team").await;
    assert_eq!(
        (code, &*said),
        (Some(1), "team: not accepted (status 404)\n")
    );
    let (code, said, log) = notify("other").await;
    assert_eq!((code, &*said), (Some(2), ""));
    assert!(
        log.contains("no sink is named \"other\"; configured: team"),
        "{log}"
    );
}
