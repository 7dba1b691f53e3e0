//! Graceful shutdown, within the default `terminationGracePeriodSeconds` of thirty seconds.
//!
//! Reconciles stop at once, except for patches in flight, which are completed and reported. Then the Lease is released, so
//! that another replica can lead at once, while pending Events and notifications are sent.

use std::time::Duration;

use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    task::JoinSet,
    time::timeout,
};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::{controllers::Controllers, notifications::Senders};

/// The time limit of patches in flight, each of which has an earlier deadline of its own.
const DRAIN: Duration = Duration::from_secs(21);

/// The time limit of pending Events and notifications, and of the Lease: its last renewal and its release have four seconds each.
const FLUSH: Duration = Duration::from_secs(8);

/// The tasks to drain: the controllers first, then all others concurrently.
pub(crate) struct Running {
    /// The controllers, while this replica leads.
    pub(super) controllers: Option<Controllers>,
    /// The writer of Events.
    pub(crate) events: JoinSet<()>,
    /// The senders of notifications.
    pub(crate) senders: Senders,
    /// The leader election, if it is enabled.
    pub(crate) election: JoinSet<()>,
}

impl Running {
    /// Drains the controllers and then releases the Lease, even if other tasks hang.
    pub(crate) async fn drain(mut self, release: &CancellationToken) {
        if let Some(controllers) = &mut self.controllers
            && timeout(DRAIN, controllers.drain()).await.is_err()
        {
            warn!("reconciles did not end within {} s", DRAIN.as_secs());
            controllers.abort().await;
        }
        // The writer of Events ends when the recorder is dropped.
        drop(self.controllers);
        release.cancel();
        self.senders.closing.cancel();
        let (events, sent, released) = tokio::join!(
            timeout(FLUSH, join(&mut self.events)),
            timeout(FLUSH, join(&mut self.senders.tasks)),
            timeout(FLUSH, join(&mut self.election)),
        );
        for (result, consequence) in [
            (events, "some Events were not recorded"),
            (sent, "some notifications were not sent"),
            (released, "the Lease was not released"),
        ] {
            if result.is_err() {
                warn!("timeout after {} s: {consequence}", FLUSH.as_secs());
            }
        }
    }
}

async fn join(tasks: &mut JoinSet<()>) {
    while tasks.join_next().await.is_some() {}
}

/// SIGINT and SIGTERM.
pub(crate) struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    /// # Errors
    ///
    /// If a handler cannot be installed.
    pub(crate) fn new() -> std::io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    /// Waits for either of them.
    pub(crate) async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
