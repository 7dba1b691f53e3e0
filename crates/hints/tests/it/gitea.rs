//! Gitea and Forgejo.

use kube_autorollout_hints::{Ignored, Naming, Sender};

use crate::given::{fixture, hints, ignored, read, read_with};

#[test]
fn a_tag_that_is_created_or_overwritten_is_a_hint_at_the_server_itself() {
    let expected = Ok(hints([("git.example.org:3000/team/web", &["main"])]));
    let body = fixture("gitea/created");
    for header in ["X-Gitea-Event", "X-Forgejo-Event"] {
        let headers = [(header, "package")];
        let read = read_with(Sender::Gitea, &Naming::default(), &headers, &body);
        assert_eq!(read, expected, "{header}");
    }
}

#[test]
fn other_events_than_pushes_of_tagged_images_are_ignored() {
    for (name, reason) in [
        ("gitea/child", Ignored::Untagged),
        ("gitea/deleted", Ignored::Event),
        ("gitea/npm", Ignored::NotAnImage),
    ] {
        let read = read(Sender::Gitea, &fixture(name));
        assert_eq!(read, Ok(ignored(reason)), "{name}");
    }
    let headers = [("X-Gitea-Event", "push")];
    let read = read_with(Sender::Gitea, &Naming::default(), &headers, b"{}");
    assert_eq!(read, Ok(ignored(Ignored::Event)));
}

#[test]
fn the_address_of_the_page_may_be_missing_where_the_registry_is_configured() {
    let body = br#"{"action": "created", "package": {"owner": {"login": "Team"}, "type": "container", "name": "app/web", "version": "main"}}"#;
    let message = read(Sender::Gitea, body).expect_err("no host").to_string();
    assert!(message.contains("registryHost"), "{message}");
    let naming = Naming {
        registry_host: Some("Registry.example.org".to_owned()),
        ..Naming::default()
    };
    let headers = [("X-Gitea-Event", "package")];
    let read = read_with(Sender::Gitea, &naming, &headers, body);
    assert_eq!(
        read,
        Ok(hints([("registry.example.org/team/app/web", &["main"])]))
    );
}

#[test]
fn a_user_in_the_address_is_no_part_of_the_host() {
    let body = br#"{"action": "created", "package": {"owner": {"login": "team"}, "type": "container", "name": "web", "version": "main", "html_url": "https://ci:secret@git.example.org/team"}}"#;
    let read = read(Sender::Gitea, body);
    assert_eq!(read, Ok(hints([("git.example.org/team/web", &["main"])])));
}
