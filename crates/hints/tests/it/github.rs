//! GitHub's container registry.

use http::StatusCode;
use kube_autorollout_hints::{Ignored, Malformed, Naming, Sender};

use crate::given::{fixture, hints, ignored, read, read_with};

fn read_event(event: &str, name: &str) -> Result<kube_autorollout_hints::Parsed, Malformed> {
    let headers = [("X-GitHub-Event", event)];
    read_with(Sender::Github, &Naming::default(), &headers, &fixture(name))
}

#[test]
fn both_events_and_both_actions_are_a_hint_in_lower_case() {
    let expected = Ok(hints([("ghcr.io/team/web", &["main"])]));
    for (event, name) in [
        ("registry_package", "github/registry_package"),
        ("package", "github/package"),
        ("registry_package", "github/called_npm"),
    ] {
        assert_eq!(read_event(event, name), expected, "{name}");
    }
}

#[test]
fn other_events_than_pushes_of_tagged_images_are_ignored() {
    for (event, name, reason) in [
        ("registry_package", "github/child", Ignored::Untagged),
        ("registry_package", "github/npm", Ignored::NotAnImage),
        ("package", "github/deleted", Ignored::Event),
        ("push", "github/ping", Ignored::Event),
        ("ping", "github/ping", Ignored::Ping),
    ] {
        assert_eq!(read_event(event, name), Ok(ignored(reason)), "{name}");
    }
    assert!(ignored(Ignored::Ping).is_ping());
    assert!(!ignored(Ignored::Event).is_ping());
}

#[test]
fn a_webhook_that_sends_forms_is_read() {
    let json = fixture("github/registry_package");
    let form: String = form_urlencoded::Serializer::new(String::new())
        .append_pair("payload", str::from_utf8(&json).expect("text"))
        .finish();
    let headers = [
        ("X-GitHub-Event", "registry_package"),
        ("Content-Type", "application/x-www-form-urlencoded"),
    ];
    let read = |body: &[u8]| read_with(Sender::Github, &Naming::default(), &headers, body);
    assert_eq!(
        read(form.as_bytes()),
        Ok(hints([("ghcr.io/team/web", &["main"])]))
    );
    let error = read(b"other=1").expect_err("no payload");
    assert_eq!(error, Malformed::Form);
    assert_eq!(error.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
}

#[test]
fn a_request_without_the_header_is_not_from_github() {
    let naming = Naming::default();
    let body = fixture("github/registry_package");
    let read = read_with(Sender::Github, &naming, &[], &body);
    let message = read.expect_err("no event").to_string();
    assert!(message.contains("X-GitHub-Event"), "{message}");
}

#[test]
fn an_enterprise_server_has_a_registry_of_its_own() {
    let naming = Naming {
        registry_host: Some("containers.github.example.org".to_owned()),
        ..Naming::default()
    };
    let body = fixture("github/registry_package");
    let headers = [("X-GitHub-Event", "registry_package")];
    let read = read_with(Sender::Github, &naming, &headers, &body);
    let expected = hints([("containers.github.example.org/team/web", &["main"])]);
    assert_eq!(read, Ok(expected));
}

#[test]
fn a_body_without_its_package_is_refused() {
    let mistakes: [&[u8]; 3] = [
        br#"{"action": "published"}"#,
        br#"{"action": "published", "registry_package": {"name": "web"}}"#,
        br#"{"action": "published", "registry_package": []}"#,
    ];
    for body in mistakes {
        assert!(read(Sender::Github, body).is_err());
    }
}
