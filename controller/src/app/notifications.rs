//! The tasks that send notifications.

use std::{collections::BTreeMap, sync::Arc};

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::info;

use super::Error;
use crate::{config::Config, metrics::Metrics, notifications::Notifier, registry::options};

/// The tasks that send notifications, one for each sink.
#[derive(Default)]
pub(crate) struct Senders {
    pub(super) tasks: JoinSet<()>,
    /// Cancelled when no more notifications are published.
    pub(super) closing: CancellationToken,
}

/// Starts a task for each sink.
///
/// # Errors
///
/// [`Error`] if no client can be built.
pub(super) fn start(
    config: &Config,
    environment: &BTreeMap<String, String>,
    metrics: &Arc<Metrics>,
) -> Result<(Arc<Notifier>, Senders), Error> {
    let notifier = Notifier::new(&config.notifications, metrics);
    let mut senders = Senders::default();
    if !notifier.has_no_sinks() {
        let client = options::external_client(config, environment)?;
        senders
            .tasks
            .extend(notifier.senders(&client, &senders.closing));
        let sinks = config.notifications.sinks.len();
        info!(sinks, "sending notifications");
    }
    Ok((Arc::new(notifier), senders))
}
