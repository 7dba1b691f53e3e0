//! Records Events on workloads: best effort, and never in the path of a decision.
//!
//! kube's `Recorder` is not used: it aggregates Events with the same reason and keeps the note of the first, but our notes
//! carry the digests.

use std::{sync::Arc, time::Duration};

use futures::{StreamExt as _, stream};
use jiff::SignedDuration;
use k8s_openapi::{
    api::{core::v1::ObjectReference, events::v1},
    apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta},
};
use kube::{Api, Client, api::PostParams};
use tokio::{sync::mpsc, time};
use tracing::{debug, warn};

use crate::{clock, constants, error_chain::Chain, metrics::Metrics, rollout::limiter::Limiter};

/// Capacity of the queue. Events that exceed it are lost.
const QUEUE: usize = 4096;

/// Concurrent writes.
const WRITERS: usize = 4;

/// Maximum length of a note in bytes, as the API server enforces it.
const NOTE: usize = 1024;

/// Timeout of a write, after which the Event counts as lost.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);

/// Maximum time that an Event waits for patches in flight.
const MAX_DELAY: SignedDuration = SignedDuration::from_secs(5);

/// Interval of checks for patches in flight.
const POLL: Duration = Duration::from_millis(100);

/// The reason of an Event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reason {
    /// A rollout was triggered.
    RolloutTriggered,
    /// All pods run the new digest.
    RolloutCompleted,
    /// The rollout does not converge.
    NotConverging,
    /// A container is not checked, as new pods may not pull its image.
    ImagePullPolicyNotAlways,
    /// The check of a registry failed.
    RegistryCheckFailed,
    /// An annotation is invalid.
    InvalidConfiguration,
    /// The API server refused the patch.
    RolloutFailed,
    /// Pods are not pinned but should be.
    NotPinned,
    /// A registry no longer has a digest that pods are pinned to.
    PinnedDigestGone,
}

impl Reason {
    fn as_str(self) -> &'static str {
        match self {
            Self::RolloutTriggered => "RolloutTriggered",
            Self::RolloutCompleted => "RolloutCompleted",
            Self::NotConverging => "NotConverging",
            Self::ImagePullPolicyNotAlways => "ImagePullPolicyNotAlways",
            Self::RegistryCheckFailed => "RegistryCheckFailed",
            Self::InvalidConfiguration => "InvalidConfiguration",
            Self::RolloutFailed => "RolloutFailed",
            Self::NotPinned => "NotPinned",
            Self::PinnedDigestGone => "PinnedDigestGone",
        }
    }

    /// The `type` of the Event.
    fn type_(self) -> &'static str {
        match self {
            Self::RolloutTriggered | Self::RolloutCompleted => "Normal",
            _ => "Warning",
        }
    }

    /// The `action` of the Event.
    fn action(self) -> &'static str {
        match self {
            Self::RolloutTriggered
            | Self::RolloutCompleted
            | Self::NotConverging
            | Self::RolloutFailed => "RollOut",
            _ => "Check",
        }
    }
}

/// Enqueues Events for the writer.
pub(crate) struct Recorder {
    queue: mpsc::Sender<v1::Event>,
    metrics: Arc<Metrics>,
    instance: String,
}

impl Recorder {
    /// A recorder, and its writer, which ends after the recorder is dropped.
    pub(crate) fn new(
        client: Client,
        metrics: Arc<Metrics>,
        instance: String,
        limiter: Arc<Limiter>,
    ) -> (Self, impl Future<Output = ()>) {
        let (queue, events) = mpsc::channel(QUEUE);
        let writer = write_all(client, events, Arc::clone(&metrics), limiter);
        let recorder = Self {
            queue,
            metrics,
            instance,
        };
        (recorder, writer)
    }

    /// Enqueues an Event. If the queue is full, the Event is lost and counted.
    pub(crate) fn publish(&self, reason: Reason, regarding: ObjectReference, note: &str) {
        let event = self.event(reason, regarding, note);
        if self.queue.try_send(event).is_err() {
            self.metrics.event_dropped();
        }
    }

    fn event(&self, reason: Reason, regarding: ObjectReference, note: &str) -> v1::Event {
        v1::Event {
            metadata: ObjectMeta {
                namespace: regarding.namespace.clone(),
                // The API server completes the name, so that concurrent Events do not collide.
                generate_name: Some(format!(
                    "{}-",
                    regarding.name.as_deref().unwrap_or(constants::NAME)
                )),
                ..ObjectMeta::default()
            },
            event_time: Some(MicroTime(clock::now())),
            type_: Some(reason.type_().to_owned()),
            reason: Some(reason.as_str().to_owned()),
            action: Some(reason.action().to_owned()),
            note: Some(truncated(note).to_owned()),
            regarding: Some(regarding),
            reporting_controller: Some(constants::NAME.to_owned()),
            reporting_instance: Some(self.instance.clone()),
            ..v1::Event::default()
        }
    }
}

/// Writes Events, a few at a time, until the recorder is dropped.
async fn write_all(
    client: Client,
    mut queue: mpsc::Receiver<v1::Event>,
    metrics: Arc<Metrics>,
    limiter: Arc<Limiter>,
) {
    let events = stream::poll_fn(move |context| queue.poll_recv(context));
    let mut refused = false;
    let mut written = std::pin::pin!(
        events
            .map(async |event| {
                yield_to_patches(&limiter, &event).await;
                write(&client, event).await
            })
            .buffer_unordered(WRITERS)
    );
    while let Some(result) = written.next().await {
        let Err(error) = result else { continue };
        metrics.event_dropped();
        if matches!(error, Error::Refused(_)) && !refused {
            refused = true;
            let missing = "missing RBAC permission \"create\" on events.events.k8s.io";
            warn!("cannot record Events: {missing}: {error}");
        } else {
            debug!("cannot record an Event: {}", Chain(&error));
        }
    }
}

#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("the API server refused an Event: {0}")]
    Refused(Box<kube::core::Status>),
    #[error("an Event could not be written")]
    Request(#[source] kube::Error),
    #[error("writing an Event timed out")]
    Timeout,
}

/// Waits while patches are in flight, for a bounded time: Events are less urgent, and many rollouts load the API server.
async fn yield_to_patches(limiter: &Limiter, event: &v1::Event) {
    let may_wait = || {
        let time = event.event_time.as_ref();
        time.is_some_and(|time| clock::now().duration_since(time.0) < MAX_DELAY)
    };
    while limiter.is_in_use() && may_wait() {
        time::sleep(POLL).await;
    }
}

async fn write(client: &Client, event: v1::Event) -> Result<(), Error> {
    let namespace = event.metadata.namespace.as_deref().unwrap_or("default");
    let api: Api<v1::Event> = Api::namespaced(client.clone(), namespace);
    match time::timeout(WRITE_TIMEOUT, api.create(&PostParams::default(), &event)).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(kube::Error::Api(status))) => Err(Error::Refused(status)),
        Ok(Err(error)) => Err(Error::Request(error)),
        Err(_) => Err(Error::Timeout),
    }
}

/// Truncates the note to the maximum length, at a character boundary.
fn truncated(note: &str) -> &str {
    let ends = note
        .char_indices()
        .map(|(start, letter)| start + letter.len_utf8());
    let end = ends.take_while(|end| *end <= NOTE).last();
    end.and_then(|end| note.get(..end)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_note_is_truncated_at_a_character_boundary() {
        let note = "ü".repeat(NOTE);
        assert_eq!(truncated(&note).len(), NOTE);
        assert_eq!(truncated(&format!("x{note}")).len(), NOTE - 1);
        assert_eq!(truncated("short"), "short");
        assert_eq!(truncated(""), "");
    }
}
