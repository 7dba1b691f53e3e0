//! Registries that notify of pushes in JSON of their own.

use std::collections::BTreeMap;

use kube_autorollout_hints::{Ignored, Malformed, Naming, Parsed, Sender};

use crate::given::{fixture, hints, ignored, read, read_with};

#[test]
fn each_notification_of_a_tag_is_a_hint() {
    let cases: [(Sender, &str, &str, &[&str]); 8] = [
        (
            Sender::Distribution,
            "distribution/push",
            "registry.example.org:5000/team/web",
            &["main"],
        ),
        (
            Sender::Harbor,
            "harbor/push",
            "harbor.example.org/team/web",
            &["main"],
        ),
        (
            Sender::Harbor,
            "harbor/version_1",
            "harbor.example.org/team/web",
            &["main"],
        ),
        (
            Sender::Dockerhub,
            "dockerhub/push",
            "docker.io/team/web",
            &["main"],
        ),
        (
            Sender::Dockerhub,
            "dockerhub/official",
            "docker.io/library/nginx",
            &["1"],
        ),
        (
            Sender::Quay,
            "quay/push",
            "quay.example.org/team/web",
            &["main", "v1"],
        ),
        (Sender::Quay, "quay/old", "quay.io/team/web", &["main"]),
        (
            Sender::Acr,
            "acr/push",
            "example.azurecr.io/team/web",
            &["main"],
        ),
    ];
    for (sender, name, image, tags) in cases {
        let read = read(sender, &fixture(name));
        assert_eq!(read, Ok(hints([(image, tags)])), "{name}");
    }
}

#[test]
fn other_events_than_pushes_of_tagged_images_are_ignored() {
    for (sender, name, reason) in [
        (Sender::Harbor, "harbor/untagged", Ignored::Untagged),
        (Sender::Harbor, "harbor/deleted", Ignored::Event),
        (Sender::Dockerhub, "dockerhub/untagged", Ignored::Untagged),
        (Sender::Quay, "quay/build", Ignored::Event),
        (Sender::Acr, "acr/by_digest", Ignored::Untagged),
        (Sender::Acr, "acr/chart", Ignored::NotAnImage),
        (Sender::Acr, "acr/delete", Ignored::Event),
        (Sender::Acr, "acr/ping", Ignored::Ping),
    ] {
        let read = read(sender, &fixture(name));
        assert_eq!(read, Ok(ignored(reason)), "{name}");
    }
}

#[test]
fn of_the_events_of_one_push_those_with_a_tag_are_hints() {
    let read = read(Sender::Distribution, &fixture("distribution/several"));
    let expected = Parsed {
        ignored: BTreeMap::from([
            (Ignored::Untagged, 2),
            (Ignored::Signature, 1),
            (Ignored::Event, 2),
        ]),
        ..hints([("registry.example.org/team/web", &["main", "v1"])])
    };
    assert_eq!(read, Ok(expected));
}

#[test]
fn an_envelope_without_events_has_no_hints() {
    assert_eq!(
        read(Sender::Distribution, br#"{"events": []}"#),
        Ok(Parsed::default())
    );
    assert!(read(Sender::Distribution, b"{}").is_err());
}

#[test]
fn a_host_that_images_cannot_name_is_no_repository_of_docker_hub() {
    let body = br#"{"events": [{"action": "push", "target": {"repository": "team/web", "tag": "main"}, "request": {"host": "registry"}}]}"#;
    let error = read(Sender::Distribution, body).expect_err("a mistake");
    assert_eq!(error, Malformed::Host);
    assert!(error.to_string().contains("registryHost"), "{error}");
    let without =
        br#"{"events": [{"action": "push", "target": {"repository": "team/web", "tag": "main"}}]}"#;
    assert_eq!(read(Sender::Distribution, without), Err(Malformed::NoHost));
}

#[test]
fn images_may_name_the_registry_and_its_repositories_otherwise() {
    let naming = Naming {
        registry_host: Some("harbor.corp".to_owned()),
        repository_prefix: Some("docker-hub".to_owned()),
        ..Naming::default()
    };
    for (sender, name, image) in [
        (
            Sender::Dockerhub,
            "dockerhub/push",
            "harbor.corp/docker-hub/team/web",
        ),
        (
            Sender::Distribution,
            "distribution/push",
            "harbor.corp/docker-hub/team/web",
        ),
        (
            Sender::Harbor,
            "harbor/push",
            "harbor.corp/docker-hub/team/web",
        ),
        (Sender::Acr, "acr/push", "harbor.corp/docker-hub/team/web"),
    ] {
        let read = read_with(sender, &naming, &[], &fixture(name));
        assert_eq!(read, Ok(hints([(image, &["main"])])), "{name}");
    }
}

#[test]
fn a_template_of_quay_that_was_changed_is_refused_with_advice() {
    let body = br#"{"text": "pushed"}"#;
    let message = read(Sender::Quay, body).expect_err("a mistake").to_string();
    assert!(message.contains("docker_url"), "{message}");
    let other = br#"{"docker_url": ["quay.io/team/web"], "updated_tags": ["main"]}"#;
    let message = read(Sender::Quay, other)
        .expect_err("a mistake")
        .to_string();
    assert!(message.contains("template"), "{message}");
}

#[test]
fn a_push_is_not_more_than_its_repository_and_tag() {
    for body in [
        r#"{"push_data": {"tag": "main"}, "repository": {"repo_name": "team/web:v1"}}"#,
        r#"{"push_data": {"tag": "main"}, "repository": {"repo_name": "team/web@sha256"}}"#,
        r#"{"push_data": {"tag": "main"}, "repository": {"repo_name": "../web"}}"#,
        r#"{"push_data": {"tag": "main"}, "repository": {"repo_name": ""}}"#,
        r#"{"push_data": {"tag": "ma in"}, "repository": {"repo_name": "team/web"}}"#,
        r#"{"push_data": {"tag": "a/b"}, "repository": {"repo_name": "team/web"}}"#,
        r#"{"push_data": {"tag": "a@b"}, "repository": {"repo_name": "team/web"}}"#,
    ] {
        let read = read(Sender::Dockerhub, body.as_bytes());
        assert!(matches!(read, Err(Malformed::Image(_))), "{body}: {read:?}");
    }
}

#[test]
fn a_repository_and_a_tag_are_never_read_as_a_digest() {
    let tag = "6c3c624b58dbbcd3c0dd82b4c53f04194d1247c6eebdaab7c610cf7d66709b3b";
    let body = serde_json::json!({
        "push_data": { "tag": tag },
        "repository": { "repo_name": "team/web@sha256" },
    });
    let read = read(Sender::Dockerhub, body.to_string().as_bytes());
    assert!(matches!(read, Err(Malformed::Image(_))), "{read:?}");
}

#[test]
fn a_repeated_delivery_has_the_same_hints() {
    let body = fixture("harbor/push");
    assert_eq!(read(Sender::Harbor, &body), read(Sender::Harbor, &body));
}
