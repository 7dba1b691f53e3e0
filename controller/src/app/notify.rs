//! `kube-autorollout notify --test SINK`: sends a sample notification, to show how a service displays it.

use std::{collections::BTreeMap, time::Duration};

use kube_autorollout_core::labels::ImageLabels;
use kube_autorollout_notifications::{
    Attempts, Container, Event, Message, Notice, Sink, SinkResponse, Verdict, Version, Workload,
};

use crate::{clock, config::Config, error_chain::Chain, notifications::Request, registry::options};

/// A usage error, for which no sample is sent.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// No client can be built from the configuration and the environment.
    #[error(transparent)]
    Client(#[from] options::Error),
    /// The configuration has no such sink.
    #[error("no sink is named {name:?}; configured: {configured}")]
    Sink {
        /// The name as given.
        name: String,
        /// The names of all sinks.
        configured: String,
    },
}

/// The outcome of the sample.
pub(crate) struct Outcome {
    /// The text for standard output.
    pub(crate) text: String,
    /// Whether the sink accepted the sample.
    pub(crate) is_sent: bool,
}

/// Sends a sample to the sink of this name, once.
///
/// # Errors
///
/// [`Error`] if there is no such sink, or no client can be built.
pub(crate) async fn run(
    name: &str,
    config: &Config,
    environment: &BTreeMap<String, String>,
) -> Result<Outcome, Error> {
    let sinks = &config.notifications.sinks;
    let find = |sink: &&Sink| sink.settings().name == name;
    let Some(sink) = sinks.iter().find(find) else {
        let names: Vec<&str> = sinks.iter().map(|sink| &*sink.settings().name).collect();
        let configured = match &*names {
            [] => "none".to_owned(),
            names => names.join(", "),
        };
        let name = name.to_owned();
        return Err(Error::Sink { name, configured });
    };
    let client = options::external_client(config, environment)?;
    let cluster = config.notifications.cluster.clone();
    let request = Request::new(sink.clone(), cluster);
    let body = request.body(&Message::new(&sample().into()));
    let response = request.send(&client, &body).await;
    let (received, detail) = match &response {
        Ok(response) => (
            SinkResponse::Status(response.status(), None),
            format!("status {}", response.status()),
        ),
        Err(error) => (SinkResponse::None, Chain(error).to_string()),
    };
    let is_sent = Attempts::default().evaluate(received, clock::now()) == Verdict::Sent;
    let outcome = if is_sent { "accepted" } else { "not accepted" };
    Ok(Outcome {
        text: format!("{name}: {outcome} ({detail})\n"),
        is_sent,
    })
}

/// A notification about a rollout that did not happen.
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
