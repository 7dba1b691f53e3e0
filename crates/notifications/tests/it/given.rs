//! Events that tests are about.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use kube_autorollout_core::{Digest, labels::ImageLabels};
use kube_autorollout_notifications::{
    Container, Event, Notice, Refused, Sink, SinkSettings, SinkType, Version, Workload, sinks,
};

/// `2026-01-01T00:00:00Z`.
pub(crate) fn at() -> Timestamp {
    "2026-01-01T00:00:00Z".parse().expect("a time")
}

pub(crate) fn digest(letter: char) -> Digest {
    let hexadecimal = letter.to_string().repeat(64);
    format!("sha256:{hexadecimal}").parse().expect("a digest")
}

/// An image of this digest that says of itself which version it is.
pub(crate) fn version(letter: char, version: &str) -> Version {
    let labels = ImageLabels {
        version: Some(version.into()),
        revision: Some(letter.to_string().repeat(40).into()),
        source: Some("https://github.com/team/web".into()),
        created: None,
    };
    Version {
        digest: digest(letter),
        labels: Some(Arc::new(labels)),
    }
}

/// The event of the Deployment `web/<name>`, whose container `app` went from version 1.4.2 to 1.4.3 of `ghcr.io/team/web:main`.
pub(crate) fn notice(event: Event, name: &str) -> Notice {
    Notice {
        event,
        at: at(),
        workload: Workload {
            namespace: "web".to_owned(),
            kind: "Deployment",
            name: name.to_owned(),
            uid: format!("uid-of-{name}"),
        },
        containers: vec![Container {
            name: "app".to_owned(),
            image: "ghcr.io/team/web:main".to_owned(),
            from: Some(version('a', "1.4.2")),
            to: Some(version('b', "1.4.3")),
        }],
        digests: digest('b').to_string(),
        rollout: Some(at()),
        took: (event == Event::RolledOut).then_some(Duration::from_secs(41)),
        reason: (event == Event::NotConverging).then_some("CrashLoopBackOff"),
        detail: None,
        refused: None,
    }
}

/// A credential that a registry refused, found at the Deployment of this name.
pub(crate) fn refused(name: &str, credential: u64) -> Notice {
    Notice {
        reason: Some("Unauthorized"),
        detail: Some("ghcr.io: the credentials are refused".to_owned()),
        containers: Vec::new(),
        refused: Some(Refused {
            registry: "ghcr.io".to_owned(),
            credential,
        }),
        ..notice(Event::CredentialRefused, name)
    }
}

pub(crate) fn settings(kind: SinkType) -> SinkSettings {
    SinkSettings {
        name: "team".to_owned(),
        kind,
        url: Some("https://receiver/secret".parse().expect("a URL")),
        url_file: None,
        secret_file: None,
        events: Vec::new(),
        namespaces: Vec::new(),
        group: None,
    }
}

pub(crate) fn sink(settings: SinkSettings) -> Arc<Sink> {
    let sinks = sinks(vec![settings]).expect("no mistakes");
    Arc::new(sinks.into_iter().next().expect("one sink"))
}
