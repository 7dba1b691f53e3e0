//! Artifactory, whose payloads say nothing of how clients name a repository.

use std::collections::BTreeMap;

use kube_autorollout_hints::{Ignored, Naming, Sender};

use crate::given::{fixture, hints, ignored, read, read_with};

#[test]
fn a_tag_that_was_pushed_or_promoted_is_a_hint_for_the_name_that_clients_use() {
    for name in ["pushed", "promoted", "path_only"] {
        let read = read(
            Sender::Artifactory,
            &fixture(&format!("artifactory/{name}")),
        );
        let expected = hints([("art.example.org/docker/team/web", &["main"])]);
        assert_eq!(read, Ok(expected), "{name}");
    }
}

#[test]
fn an_empty_name_is_that_of_the_path() {
    let body = br#"{"domain": "docker", "event_type": "pushed", "data": {"repo_key": "docker-local", "image_name": "", "path": "team/web/main/manifest.json", "tag": "main"}}"#;
    let expected = hints([("art.example.org/docker/team/web", &["main"])]);
    assert_eq!(read(Sender::Artifactory, body), Ok(expected));
    let short = br#"{"domain": "docker", "event_type": "pushed", "data": {"repo_key": "docker-local", "path": "manifest.json", "tag": "main"}}"#;
    assert!(read(Sender::Artifactory, short).is_err());
}

#[test]
fn other_events_than_pushes_of_tagged_images_are_ignored() {
    for (name, reason) in [
        ("artifactory/deleted", Ignored::Event),
        ("artifactory/artifact", Ignored::NotAnImage),
        ("artifactory/child", Ignored::Untagged),
    ] {
        let read = read(Sender::Artifactory, &fixture(name));
        assert_eq!(read, Ok(ignored(reason)), "{name}");
    }
}

#[test]
fn a_repository_may_have_several_names_and_others_none() {
    let bases = [
        "docker-local.art.example.org",
        "art.example.org/docker",
        "art.example.org/docker-local",
    ];
    let bases = bases.map(str::to_owned).to_vec();
    let mut naming = Naming {
        repositories: BTreeMap::from([("docker-local".to_owned(), bases)]),
        ..Naming::default()
    };
    let body = fixture("artifactory/pushed");
    let expected = hints([
        ("art.example.org/docker-local/team/web", &["main"]),
        ("art.example.org/docker/team/web", &["main"]),
        ("docker-local.art.example.org/team/web", &["main"]),
    ]);
    let read = read_with(Sender::Artifactory, &naming, &[], &body);
    assert_eq!(read, Ok(expected));
    naming.repositories =
        BTreeMap::from([("other".to_owned(), vec!["art.example.org".to_owned()])]);
    let read = read_with(Sender::Artifactory, &naming, &[], &body);
    assert_eq!(read, Ok(ignored(Ignored::UnknownRepository)));
}
