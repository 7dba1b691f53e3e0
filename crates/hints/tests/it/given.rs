//! Requests as senders make them, and what is expected of them.

use std::{collections::BTreeMap, fs, path::Path};

use http::{HeaderMap, HeaderName, HeaderValue};
use kube_autorollout_hints::{Hint, Ignored, Malformed, Naming, Parsed, Request, Sender, Tags};

/// A payload of `tests/fixtures`.
pub(crate) fn fixture(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(name)
        .with_extension("json");
    fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

pub(crate) fn headers(all: &[(&str, &str)]) -> HeaderMap {
    let parsed = all.iter().map(|(name, value)| {
        let name: HeaderName = name.parse().expect("a name");
        (name, HeaderValue::from_str(value).expect("a value"))
    });
    let mut headers = HeaderMap::new();
    for (name, value) in parsed {
        headers.append(name, value);
    }
    headers
}

/// The headers that every request of a sender has.
pub(crate) fn usual_headers(sender: Sender) -> &'static [(&'static str, &'static str)] {
    match sender {
        Sender::Github => &[("X-GitHub-Event", "registry_package")],
        Sender::Gitea => &[("X-Gitea-Event", "package")],
        Sender::Cloudevents => &[
            ("Content-Type", "application/json"),
            ("ce-specversion", "1.0"),
            ("ce-type", "zotregistry.image.updated"),
            ("ce-source", "zotregistry.dev"),
            ("ce-id", "1"),
        ],
        _ => &[("Content-Type", "application/json")],
    }
}

/// A payload of each sender that leads to a hint.
pub(crate) const PUSHES: [(Sender, &str); 10] = [
    (Sender::Generic, "generic/image"),
    (Sender::Github, "github/registry_package"),
    (Sender::Distribution, "distribution/push"),
    (Sender::Harbor, "harbor/push"),
    (Sender::Dockerhub, "dockerhub/push"),
    (Sender::Gitea, "gitea/created"),
    (Sender::Quay, "quay/push"),
    (Sender::Acr, "acr/push"),
    (Sender::Artifactory, "artifactory/pushed"),
    (Sender::Cloudevents, "cloudevents/zot"),
];

/// What the payloads of the fixtures need to be read.
pub(crate) fn naming(sender: Sender) -> Naming {
    let mut naming = Naming::default();
    match sender {
        Sender::Artifactory => {
            let base = vec!["art.example.org/docker".to_owned()];
            naming.repositories = BTreeMap::from([("docker-local".to_owned(), base)]);
        }
        Sender::Cloudevents => naming.registry_host = Some("zot.example.org".to_owned()),
        _ => {}
    }
    naming
}

pub(crate) fn read_with(
    sender: Sender,
    naming: &Naming,
    all: &[(&str, &str)],
    body: &[u8],
) -> Result<Parsed, Malformed> {
    let headers = headers(all);
    let request = Request {
        headers: &headers,
        path_secret: None,
        body,
    };
    sender.read(&request, naming)
}

/// Reads a payload with the usual headers and nothing configured that it does not need.
pub(crate) fn read(sender: Sender, body: &[u8]) -> Result<Parsed, Malformed> {
    read_with(sender, &naming(sender), usual_headers(sender), body)
}

pub(crate) fn hints<const N: usize>(all: [(&str, &[&str]); N]) -> Parsed {
    let hints = all.into_iter().map(|(name, tags)| {
        let (registry, repository) = name.split_once('/').expect("a registry");
        let tags = tags.iter().map(|tag| (*tag).to_owned());
        Hint {
            registry: registry.to_owned(),
            repository: repository.to_owned(),
            tags: Tags::Named(tags.collect()),
        }
    });
    Parsed {
        hints: hints.collect(),
        ignored: BTreeMap::new(),
    }
}

pub(crate) fn ignored(reason: Ignored) -> Parsed {
    Parsed {
        hints: Vec::new(),
        ignored: BTreeMap::from([(reason, 1)]),
    }
}
