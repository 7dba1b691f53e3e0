//! `kube-autorollout notify --test SINK`: sends a sample, as its service will show messages.

use std::{collections::BTreeMap, time::Duration};

use kube_autorollout_core::labels::ImageLabels;
use kube_autorollout_notifications::{
    Answer, Attempts, Container, Event, Message, Notice, Verdict, Version, Workload,
};

use crate::{clock, config::Config, error_chain::Chain, notifications::Request, registry::options};

/// Why no sample was sent; the user has to correct it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The configuration or the environment asks for what no client can do.
    #[error(transparent)]
    Client(#[from] options::Error),
    /// The configuration has no such sink.
    #[error("no sink is named {name:?}; configured: {configured}")]
    Sink {
        /// As it was given.
        name: String,
        /// What there is instead.
        configured: String,
    },
}

/// How it ended.
pub(crate) struct Ended {
    /// For standard output.
    pub(crate) text: String,
    /// Whether the sink accepted the sample.
    pub(crate) sent: bool,
}

/// Sends a sample to the sink of this name, once.
///
/// # Errors
///
/// [`Error`] when it cannot be sent at all.
pub(crate) async fn run(
    name: &str,
    config: &Config,
    environment: &BTreeMap<String, String>,
) -> Result<Ended, Error> {
    let sinks = &config.notifications.sinks;
    let mut all = sinks.iter();
    let Some(sink) = all.find(|sink| sink.settings().name == name) else {
        let names = sinks.iter().map(|sink| sink.settings().name.as_str());
        let names = names.collect::<Vec<_>>().join(", ");
        return Err(Error::Sink {
            name: name.to_owned(),
            configured: if names.is_empty() {
                "none".to_owned()
            } else {
                names
            },
        });
    };
    let client = options::single_requests(config, environment)?;
    let cluster = config.notifications.cluster.clone();
    let request = Request::new(sink.clone(), cluster);
    let body = request.body(&Message::new(&sample().into()));
    let answered = request.send(&client, &body).await;
    let (answer, what) = match &answered {
        Ok(response) => (
            Answer::Status(response.status(), None),
            format!("status {}", response.status()),
        ),
        Err(error) => (Answer::None, Chain(error).to_string()),
    };
    let sent = Attempts::default().answered(answer, clock::now()) == Verdict::Sent;
    let outcome = if sent { "accepted" } else { "not accepted" };
    Ok(Ended {
        text: format!("{name}: {outcome} ({what})\n"),
        sent,
    })
}

/// A rollout that did not happen.
fn sample() -> Notice {
    let version = |letter: char, version: &str| {
        let hexadecimal: String = std::iter::repeat_n(letter, 64).collect();
        let digest = format!("sha256:{hexadecimal}").parse().ok()?;
        let labels = ImageLabels {
            version: Some(version.into()),
            ..ImageLabels::default()
        };
        Some(Version {
            digest,
            labels: Some(labels.into()),
        })
    };
    Notice {
        event: Event::RolledOut,
        at: clock::now(),
        workload: Workload {
            namespace: "example".to_owned(),
            kind: "Deployment",
            name: "test-message".to_owned(),
            uid: "test-message".to_owned(),
        },
        containers: vec![Container {
            name: "app".to_owned(),
            image: "registry.example.org/team/web:main".to_owned(),
            from: version('a', "1.4.2"),
            to: version('b', "1.4.3"),
        }],
        digests: String::new(),
        rollout: None,
        took: Some(Duration::from_secs(41)),
        reason: None,
        detail: Some("This is a test: nothing was rolled out.".to_owned()),
        refused: None,
    }
}
