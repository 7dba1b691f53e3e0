//! Events on workloads: best effort, off the path of every decision.
//!
//! kube's `Recorder` is not used: it folds an Event into an earlier one with the same reason and keeps the note of the
//! first, and our notes carry the digests.

use std::{sync::Arc, time::Duration};

use jiff::SignedDuration;
use k8s_openapi::{
    api::{core::v1::ObjectReference, events::v1},
    apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta},
};
use kube::{Api, Client, api::PostParams};
use tokio::{sync::mpsc, time};
use tracing::{debug, warn};

use crate::{clock, constants, error_chain::Chain, metrics::Metrics, rollout::limiter::Limiter};

/// Events that wait to be written; what comes on top of them is lost.
const QUEUE: usize = 4096;

/// Events that are written at once.
const WRITERS: usize = 4;

/// The API server cuts off longer notes.
const NOTE: usize = 1024;

/// After which an Event counts as lost.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);

/// So long an Event waits for patches.
const PATIENCE: SignedDuration = SignedDuration::from_secs(5);

/// How often is checked whether it need not wait any more.
const PAUSE: Duration = Duration::from_millis(100);

/// What an Event reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reason {
    /// A rollout has begun.
    RolloutTriggered,
    /// The pods run what the rollout was for.
    RolloutCompleted,
    /// The pods do not run what the rollout was for.
    NotConverging,
    /// A container is not checked, as a new pod need not pull its image.
    ImagePullPolicyNotAlways,
    /// A registry did not answer with a digest.
    RegistryCheckFailed,
    /// An annotation cannot be followed.
    InvalidConfiguration,
    /// The API server refused the patch.
    RolloutFailed,
    /// Pods are not pinned that should be.
    NotPinned,
    /// A registry does not have what pods are pinned to.
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

    /// Whether something went wrong, in the API's words.
    fn type_(self) -> &'static str {
        match self {
            Self::RolloutTriggered | Self::RolloutCompleted => "Normal",
            _ => "Warning",
        }
    }

    /// What we were doing, in the API's words.
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

/// Takes Events and sees to it that they are written.
#[derive(Clone)]
pub(crate) struct Recorder {
    queue: mpsc::Sender<v1::Event>,
    metrics: Arc<Metrics>,
    instance: String,
}

impl Recorder {
    /// A queue, and what writes it until all its senders are gone.
    pub(crate) fn new(
        client: Client,
        metrics: Arc<Metrics>,
        instance: String,
        limiter: Arc<Limiter>,
    ) -> (Self, impl Future<Output = ()>) {
        let (queue, waiting) = mpsc::channel(QUEUE);
        let writer = write_all(client, waiting, Arc::clone(&metrics), limiter);
        let recorder = Self {
            queue,
            metrics,
            instance,
        };
        (recorder, writer)
    }

    /// Reports a workload; an Event that finds the queue full is counted and lost.
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
                // The API server completes the name, so that Events of one instant do not collide.
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

/// Writes Events, a few at a time, until nobody can send any more.
async fn write_all(
    client: Client,
    waiting: mpsc::Receiver<v1::Event>,
    metrics: Arc<Metrics>,
    limiter: Arc<Limiter>,
) {
    use futures::StreamExt as _;

    let waiting = futures::stream::unfold(waiting, async |mut waiting| {
        let event = waiting.recv().await?;
        Some((event, waiting))
    });
    let mut refused = false;
    let mut written = std::pin::pin!(
        waiting
            .map(async |event| {
                after(&limiter, &event).await;
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

/// Lets patches go first: an Event can wait a little, and a rollout of everything keeps the API server busy enough.
async fn after(limiter: &Limiter, event: &v1::Event) {
    let is_young = || {
        let time = event.event_time.as_ref();
        time.is_some_and(|time| clock::now().duration_since(time.0) < PATIENCE)
    };
    while limiter.is_in_use() && is_young() {
        time::sleep(PAUSE).await;
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

/// The longest beginning of the note that the API server takes.
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
    fn a_long_note_is_cut_between_letters() {
        let note = "ü".repeat(NOTE);
        assert_eq!(truncated(&note).len(), NOTE);
        assert_eq!(truncated(&format!("x{note}")).len(), NOTE - 1);
        assert_eq!(truncated("short"), "short");
        assert_eq!(truncated(""), "");
    }
}
