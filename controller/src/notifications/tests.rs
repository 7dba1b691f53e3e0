//! Delivery to sinks that accept messages and sinks that fail, on a paused clock.

use std::{collections::BTreeMap, fs, time::Duration};

use kube_autorollout_notifications::{Container, Event, SinkSettings, SinkType, Workload, sinks};
use kube_autorollout_testbed::receiver::{Received, Receiver, Reply};
use tokio::{
    net::TcpListener,
    task::JoinSet,
    time::{self, Instant},
};

use super::*;
use crate::{clock, config, registry::options};

/// A deadline for everything that the tests wait for, on a paused clock.
const LATER: Duration = Duration::from_secs(3600);

/// A sink without a URL.
fn settings(name: &str) -> SinkSettings {
    SinkSettings {
        name: name.to_owned(),
        kind: SinkType::Webhook,
        url: None,
        url_file: None,
        secret_file: None,
        events: Vec::new(),
        namespaces: Vec::new(),
        group: None,
    }
}

/// A Slack sink, whose messages are grouped.
fn slack(url: &str) -> SinkSettings {
    SinkSettings {
        kind: SinkType::Slack,
        ..to(url)
    }
}

fn to(url: &str) -> SinkSettings {
    SinkSettings {
        url: Some(url.parse().expect("a URL")),
        ..settings("team")
    }
}

fn notice(number: usize) -> Notice {
    Notice {
        event: Event::RolledOut,
        at: clock::now(),
        workload: Workload {
            namespace: "web".to_owned(),
            kind: "Deployment",
            name: format!("web-{number}"),
            uid: number.to_string(),
        },
        containers: vec![Container {
            name: "app".to_owned(),
            image: format!("ghcr.io/team/app-{}:main", number % 50),
            from: None,
            to: None,
        }],
        digests: String::new(),
        rollout: None,
        took: None,
        reason: None,
        detail: None,
        refused: None,
    }
}

/// A notifier with its senders.
struct Running {
    notifier: Notifier,
    metrics: Arc<Metrics>,
    closing: CancellationToken,
    senders: JoinSet<()>,
}

impl Running {
    fn start(settings: Vec<SinkSettings>) -> Self {
        let environment = BTreeMap::new();
        let config = config::load(None, &environment).expect("defaults").config;
        let client = options::external_client(&config, &environment).expect("a client");
        let notifications = Notifications {
            cluster: "prod".to_owned(),
            sinks: sinks(settings).expect("no mistakes"),
        };
        let metrics = Arc::new(Metrics::new().expect("metrics"));
        let notifier = Notifier::new(&notifications, &metrics);
        let closing = CancellationToken::new();
        let senders = notifier.senders(&client, &closing).collect();
        Self {
            notifier,
            metrics,
            closing,
            senders,
        }
    }

    /// The number of the sink's messages by outcome: sent, failed and dropped.
    fn outcomes(&self, sink: &str) -> [u64; 3] {
        let text = self.metrics.encode(true, &BTreeMap::new());
        ["sent", "failed", "dropped"].map(|outcome| {
            let series = format!(
                "kube_autorollout_notifications_total{{outcome=\"{outcome}\",sink=\"{sink}\"}} "
            );
            let mut values = text.lines().filter_map(|line| line.strip_prefix(&series));
            let value = values.next().expect("a series");
            value.parse().expect("a number")
        })
    }

    /// Waits until all queues are empty.
    async fn drained(mut self) -> [u64; 3] {
        self.closing.cancel();
        while self.senders.join_next().await.is_some() {}
        self.outcomes("team")
    }
}

/// Seconds between the first request and each of them.
fn seconds(received: &[Received]) -> Vec<u64> {
    let begun = received.first().map(|first| first.at);
    let since = |received: &Received| received.at - begun.expect("the first");
    received
        .iter()
        .map(|received| since(received).as_secs())
        .collect()
}

#[tokio::test(start_paused = true)]
async fn a_message_is_retried_after_a_temporary_failure() {
    for (replies, expected) in [
        (vec![Reply::Status(500)], vec![0, 1]),
        (vec![Reply::Close, Reply::Status(503)], vec![0, 1, 6]),
        (vec![Reply::Hang], vec![0, 11]), // timeout of 10 s
        (
            vec![Reply::With(429, "retry-after", "120".to_owned())],
            vec![0, 120],
        ),
        (
            vec![Reply::With(429, "retry-after", "86400".to_owned())],
            vec![0, 300],
        ),
    ] {
        let receiver = Receiver::start().await.expect("a receiver");
        receiver.reply(replies);
        let running = Running::start(vec![to(&receiver.url("/hook"))]);
        running.notifier.publish(notice(0));
        time::sleep(LATER).await;
        let requests = receiver.received();
        assert_eq!(seconds(&requests), expected);
        assert!(requests.iter().all(|it| it.body == requests[0].body));
        assert_eq!(running.outcomes("team"), [1, 0, 0]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_fails_after_three_attempts_and_the_next_is_sent() {
    let receiver = Receiver::start().await.expect("a receiver");
    receiver.reply([const { Reply::Status(500) }; 3]);
    let running = Running::start(vec![to(&receiver.url("/hook"))]);
    running.notifier.publish(notice(0));
    running.notifier.publish(notice(1));
    time::sleep(LATER).await;
    assert_eq!(seconds(&receiver.received()), [0, 1, 6, 6]);
    assert_eq!(running.outcomes("team"), [1, 1, 0]);
}

#[tokio::test(start_paused = true)]
async fn permanent_failures_are_not_retried_and_redirects_not_followed() {
    let elsewhere = Receiver::start().await.expect("a receiver");
    for reply in [
        Reply::Status(400),
        Reply::Status(404),
        Reply::With(307, "location", elsewhere.url("/elsewhere")),
        Reply::With(302, "location", elsewhere.url("/elsewhere")),
    ] {
        let receiver = Receiver::start().await.expect("a receiver");
        receiver.reply([reply]);
        let running = Running::start(vec![to(&receiver.url("/hook"))]);
        running.notifier.publish(notice(0));
        time::sleep(LATER).await;
        assert_eq!(receiver.received().len(), 1);
        assert_eq!(running.outcomes("team"), [0, 1, 0]);
    }
    assert!(elsewhere.received().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_sink_that_hangs_does_not_delay_others() {
    let closed = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let refusing = format!("http://{}/hook", closed.local_addr().expect("an address"));
    drop(closed);
    let hanging = Receiver::start().await.expect("a receiver");
    hanging.reply(vec![Reply::Hang; 10_000]);
    let good = Receiver::start().await.expect("a receiver");
    let named = |name: &str, url: &str| SinkSettings {
        name: name.to_owned(),
        ..to(url)
    };
    let running = Running::start(vec![
        named("refusing", &refusing),
        named("hanging", &hanging.url("/hook")),
        named("good", &good.url("/hook")),
    ]);
    let begun = Instant::now();
    for number in 0..500 {
        running.notifier.publish(notice(number));
        if number % 100 == 99 {
            time::sleep(Duration::from_secs(1)).await; // the good sink keeps up
        }
    }
    assert_eq!(begun.elapsed(), Duration::from_secs(5));
    assert_eq!(running.outcomes("good"), [500, 0, 0]);
    for sink in ["refusing", "hanging"] {
        let [sent, failed, dropped] = running.outcomes(sink);
        assert_eq!(sent, 0, "{sink}");
        assert!(
            failed <= 1 && (242..=244).contains(&dropped),
            "{sink}: {failed} {dropped}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn five_hundred_rollouts_of_fifty_images_are_fifty_messages() {
    // Rollouts that end within ten seconds, and within a minute
    for step in [20, 120] {
        let receiver = Receiver::start().await.expect("a receiver");
        let running = Running::start(vec![slack(&receiver.url("/hook"))]);
        for number in 0..500 {
            running.notifier.publish(notice(number));
            time::sleep(Duration::from_millis(step)).await;
        }
        time::sleep(LATER).await;
        let requests = receiver.received();
        assert_eq!(requests.len(), 50);
        assert_eq!(
            seconds(&requests),
            (0..50).collect::<Vec<_>>(),
            "one a second"
        );
        assert_eq!(running.outcomes("team"), [50, 0, 0]);
    }
}

#[tokio::test(start_paused = true)]
async fn the_files_of_a_sink_are_read_for_each_message() {
    let (old, new) = (
        Receiver::start().await.expect("a receiver"),
        Receiver::start().await.expect("a receiver"),
    );
    let folder = tempfile::tempdir().expect("a folder");
    let (url, key) = (folder.path().join("url"), folder.path().join("key"));
    fs::write(&url, old.url("/hook") + "\n").expect("a file");
    fs::write(&key, "one\n").expect("a file");
    let running = Running::start(vec![SinkSettings {
        url_file: Some(url.clone()),
        secret_file: Some(key.clone()),
        ..settings("team")
    }]);
    running.notifier.publish(notice(0));
    time::sleep(LATER).await;
    fs::write(&url, new.url("/hook")).expect("a file");
    fs::write(&key, "two\n").expect("a file");
    running.notifier.publish(notice(0)); // a duplicate
    running.notifier.publish(notice(1));
    time::sleep(LATER).await;
    for (receiver, key) in [(&old, "one"), (&new, "two")] {
        let requests = receiver.received();
        assert_eq!(requests.len(), 1);
        let key = kube_autorollout_notifications::SigningKey::new(key.as_bytes());
        let signature = key.expect("a key").sign(&requests[0].body);
        assert_eq!(requests[0].headers["x-signature-256"], signature);
        assert_eq!(requests[0].headers["content-type"], "application/json");
    }
    fs::remove_file(&url).expect("a file");
    running.notifier.publish(notice(2));
    time::sleep(LATER).await;
    assert_eq!(
        running.outcomes("team"),
        [2, 1, 0],
        "the file of the URL is missing"
    );
}

#[tokio::test(start_paused = true)]
async fn queued_messages_are_sent_once_at_the_end_without_delay() {
    let receiver = Receiver::start().await.expect("a receiver");
    receiver.reply([Reply::Status(500)]);
    let running = Running::start(vec![slack(&receiver.url("/hook"))]);
    for number in 0..3 {
        running.notifier.publish(notice(number));
    }
    let begun = Instant::now();
    assert_eq!(running.drained().await, [2, 1, 0]);
    assert!(begun.elapsed() < Duration::from_secs(1));
    assert_eq!(receiver.received().len(), 3);
}
