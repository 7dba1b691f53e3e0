//! Sends notifications to the configured sinks: best effort, bounded, and never in the path of a decision.
//!
//! `status` publishes notices; the crate `kube-autorollout-notifications` turns them into messages. Each sink has a task of its
//! own, so that a sink that hangs does not delay the others.

mod request;
mod sender;

use std::sync::Arc;

use kube_autorollout_notifications::Notice;
use kube_autorollout_registry::ExternalClient;
use tokio_util::sync::CancellationToken;

pub(crate) use self::request::Request;
use self::sender::Sender;
use crate::{config::Notifications, metrics::Metrics};

/// Publishes notices to all sinks.
pub(crate) struct Notifier {
    senders: Vec<Arc<Sender>>,
}

impl Notifier {
    /// Creates a sender for each sink. None of them runs yet.
    pub(crate) fn new(config: &Notifications, metrics: &Arc<Metrics>) -> Self {
        let senders = config.sinks.iter().map(|sink| {
            metrics.notifications.configured(&sink.settings().name);
            let request = Request::new(sink.clone(), config.cluster.clone());
            Arc::new(Sender::new(request, Arc::clone(metrics)))
        });
        Self {
            senders: senders.collect(),
        }
    }

    /// Whether no sink is configured, so that notices need not be created.
    pub(crate) fn has_no_sinks(&self) -> bool {
        self.senders.is_empty()
    }

    /// Enqueues a notice for each sink that accepts it. Never waits.
    pub(crate) fn publish(&self, notice: Notice) {
        let notice = Arc::new(notice);
        for sender in &self.senders {
            sender.enqueue(&notice);
        }
    }

    /// The futures that send the messages, one for each sink. After `closing` is cancelled, messages are sent without grouping
    /// and retries, and each future ends when its queue is empty.
    pub(crate) fn senders(
        &self,
        client: &ExternalClient,
        closing: &CancellationToken,
    ) -> impl Iterator<Item = impl Future<Output = ()> + use<>> {
        self.senders.iter().map(|sender| {
            let (sender, client) = (Arc::clone(sender), client.clone());
            let closing = closing.clone();
            async move { sender.run(&client, &closing).await }
        })
    }
}

#[cfg(test)]
mod tests;
