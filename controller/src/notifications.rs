//! Messages about workloads to the configured sinks: best effort, bounded, and off the path of every decision.
//!
//! What is news comes from the reports of `status`; what is sent, and in which form, is decided by the pure crate
//! `kube-autorollout-notifications`. Each sink has a task of its own, so that one that hangs keeps none of the others waiting.

mod request;
mod sending;

use std::sync::Arc;

use kube_autorollout_notifications::Notice;
use kube_autorollout_registry::TokenClient;
use tokio_util::sync::CancellationToken;

pub(crate) use self::request::Request;
use self::sending::Sending;
use crate::{config::Notifications, metrics::Metrics};

/// Takes notices for all sinks.
pub(crate) struct Notifier {
    sinks: Vec<Arc<Sending>>,
    metrics: Arc<Metrics>,
}

impl Notifier {
    /// Nothing is sent yet.
    pub(crate) fn new(config: &Notifications, metrics: Arc<Metrics>) -> Self {
        let sinks = config.sinks.iter().map(|sink| {
            metrics.notifications.configured(&sink.settings().name);
            let request = Request::new(sink.clone(), config.cluster.clone());
            Arc::new(Sending::new(request))
        });
        Self {
            sinks: sinks.collect(),
            metrics,
        }
    }

    /// Whether there is no sink, so that a notice need not be made.
    pub(crate) fn is_idle(&self) -> bool {
        self.sinks.is_empty()
    }

    /// Hands a notice to each sink that wants it. Never waits.
    pub(crate) fn publish(&self, notice: Notice) {
        let notice = Arc::new(notice);
        for sink in &self.sinks {
            sink.take(&notice, &self.metrics);
        }
    }

    /// What sends the messages, a future for each sink. Once `closing` is cancelled, groups are not waited for, nothing is
    /// repeated, and each future ends when nothing is left.
    pub(crate) fn senders(
        &self,
        client: &TokenClient,
        closing: &CancellationToken,
    ) -> impl Iterator<Item = impl Future<Output = ()> + use<>> {
        self.sinks.clone().into_iter().map({
            let (client, closing) = (client.clone(), closing.clone());
            let metrics = Arc::clone(&self.metrics);
            move |sink| {
                let (client, closing) = (client.clone(), closing.clone());
                let metrics = Arc::clone(&metrics);
                async move { sink.run(&client, &metrics, &closing).await }
            }
        })
    }
}

#[cfg(test)]
mod tests;
