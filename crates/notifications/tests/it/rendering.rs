//! What services are sent.

use std::sync::Arc;

use kube_autorollout_notifications::{Event, Group, Message, Next, Notice, Outbox, SinkType};
use serde_json::{Value, json};

use crate::{
    given::{digest, notice, refused, settings, sink},
    schema::Schema,
};

pub(crate) fn rendered(message: &Message, kind: SinkType) -> Value {
    let body = message.body(kind, "prod");
    serde_json::from_slice(&body.bytes).expect("JSON")
}

/// One message about all of them.
pub(crate) fn grouped(notices: Vec<Notice>) -> Message {
    let mut settings = settings(SinkType::Slack);
    settings.events = Event::ALL.to_vec();
    settings.group = Some(Group::All);
    let mut outbox = Outbox::new(sink(settings));
    let now = std::time::Instant::now();
    for notice in notices {
        outbox.push(&Arc::new(notice), now);
    }
    outbox.close();
    match outbox.next(now) {
        Next::Send(message) => message,
        other => panic!("{other:?}"),
    }
}

fn single(notice: Notice) -> Message {
    Message::new(&Arc::new(notice))
}

/// What the schema of a service does not allow.
pub(crate) fn faults(value: &Value, kind: SinkType) -> Vec<String> {
    let name = match kind {
        SinkType::Webhook => return Vec::new(), // our own
        SinkType::CloudEvents => "cloudevents.json",
        SinkType::Slack => "slack.json",
        SinkType::Teams => "teams.json",
    };
    Schema::read(name).faults(value)
}

#[test]
fn the_json_of_a_rollout_is_as_documented() {
    let value = rendered(&single(notice(Event::RolledOut, "web")), SinkType::Webhook);
    let build = |letter: char, version: &str| {
        json!({
            "digest": digest(letter).to_string(),
            "version": version,
            "revision": letter.to_string().repeat(40),
            "source": "https://github.com/team/web",
            "created": null,
        })
    };
    let expected = json!({
        "version": 1,
        "id": notice(Event::RolledOut, "web").id(),
        "event": "rolledOut",
        "time": "2026-01-01T00:00:00Z",
        "cluster": "prod",
        "workload": { "namespace": "web", "kind": "Deployment", "name": "web" },
        "containers": [{
            "name": "app",
            "image": "ghcr.io/team/web:main",
            "from": build('a', "1.4.2"),
            "to": build('b', "1.4.3"),
        }],
        "seconds": 41,
        "reason": null,
        "detail": null,
        "registry": null,
        "count": 1,
        "others": [],
        "title": "Rolled out: ghcr.io/team/web:main",
        "body": "1.4.2 → 1.4.3, commit bbbbbbbbbbbb\nDeployment web/web after 41 s (container app)\nprod, 2026-01-01 00:00:00Z",
    });
    assert_eq!(value, expected);
}

#[test]
fn a_cloud_event_has_the_same_as_its_data() {
    let message = single(notice(Event::RolledOut, "web"));
    let value = rendered(&message, SinkType::CloudEvents);
    assert_eq!(value["id"], message.id());
    assert_eq!(value["type"], "io.kube-autorollout.rolled-out");
    assert_eq!(value["source"], "/clusters/prod/kube-autorollout");
    assert_eq!(value["subject"], "web/Deployment/web");
    assert_eq!(value["data"], rendered(&message, SinkType::Webhook));
    let strange = message.body(SinkType::CloudEvents, "a b/ü");
    let strange: Value = serde_json::from_slice(&strange.bytes).expect("JSON");
    assert_eq!(
        strange["source"],
        "/clusters/a%20b%2F%C3%BC/kube-autorollout"
    );
    assert_eq!(
        faults(&strange, SinkType::CloudEvents),
        Vec::<String>::new()
    );
}

#[test]
fn every_event_is_valid_for_every_service() {
    for event in Event::ALL {
        for kind in SinkType::ALL {
            for message in [
                single(notice(event, "web")),
                single(refused("web", 1)),
                grouped(
                    (0..12)
                        .map(|number| notice(event, &number.to_string()))
                        .collect(),
                ),
            ] {
                let value = rendered(&message, kind);
                assert_eq!(faults(&value, kind), Vec::<String>::new(), "{value:#}");
            }
        }
    }
}

#[test]
fn a_group_has_the_number_of_workloads() {
    let notices = (0..12).map(|number| notice(Event::RolledOut, &format!("web-{number}")));
    let message = grouped(notices.collect());
    let value = rendered(&message, SinkType::Webhook);
    assert_eq!(
        value["title"],
        "Rolled out: ghcr.io/team/web:main: 12 workloads"
    );
    assert_eq!(value["count"], 12);
    assert_eq!(value["others"].as_array().expect("a list").len(), 11);
    let body = value["body"].as_str().expect("a text");
    assert!(body.contains("\nand 2 more\n"), "{body}");
    let slack = rendered(&message, SinkType::Slack);
    assert_eq!(
        slack["blocks"][1]["elements"][1]["elements"]
            .as_array()
            .map(Vec::len),
        Some(12)
    );
}

#[test]
fn versions_are_shown_if_known_and_digests_otherwise() {
    let body = |change: &dyn Fn(&mut Notice)| {
        let mut notice = notice(Event::Started, "web");
        change(&mut notice);
        let value = rendered(&single(notice), SinkType::Webhook);
        let body = value["body"].as_str().expect("a text").to_owned();
        body.lines().next().expect("a line").to_owned()
    };
    let (a, b) = ("sha256:aaaaaaaaaaaa", "sha256:bbbbbbbbbbbb");
    let commit = "commit bbbbbbbbbbbb";
    assert_eq!(body(&|_| {}), format!("1.4.2 → 1.4.3, {commit}"));
    let without_from = body(&|notice| notice.containers[0].from = None);
    assert_eq!(without_from, format!("1.4.3 ({b}), {commit}"));
    let without_labels = body(&|notice| {
        let container = &mut notice.containers[0];
        for version in [&mut container.from, &mut container.to] {
            version.as_mut().expect("it").labels = None;
        }
    });
    assert_eq!(without_labels, format!("{a} → {b}"));
    let same_version = body(&|notice| {
        let container = &mut notice.containers[0];
        container.from.as_mut().expect("it").labels =
            container.to.as_ref().expect("it").labels.clone();
    });
    assert_eq!(same_version, format!("1.4.3 ({a} → {b}), {commit}"));
}

#[test]
fn credentials_that_several_registries_refused_name_each_of_them() {
    let mut other = refused("api", 2);
    other.refused.as_mut().expect("it").registry = "docker.io".to_owned();
    let message = grouped(vec![refused("web", 1), other]);
    let value = rendered(&message, SinkType::Webhook);
    assert_eq!(
        value["title"],
        "Credential refused: 2 registries: 2 workloads"
    );
    let body = value["body"].as_str().expect("a text");
    let expected = "ghcr.io, found at Deployment web/web: Unauthorized\n\
                    docker.io, found at Deployment web/api: Unauthorized\n";
    assert!(body.starts_with(expected), "{body}");
    assert!(!body.contains("the credentials are refused"), "{body}");
}

#[test]
fn a_refused_credential_names_the_registry_and_where_it_showed() {
    let value = rendered(&single(refused("web", 1)), SinkType::Webhook);
    assert_eq!(value["title"], "Credential refused: ghcr.io");
    assert_eq!(value["registry"], "ghcr.io");
    let body = value["body"].as_str().expect("a text");
    assert!(
        body.starts_with("found at Deployment web/web: Unauthorized\n"),
        "{body}"
    );
}
