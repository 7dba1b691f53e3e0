//! Ends what runs when the process is asked to stop, within the thirty seconds that Kubernetes gives by default.
//!
//! Reconciles end at once, but for patches under way: those are finished and reported. Then the Lease is released, so that
//! another replica leads at once, and meanwhile the Events and notifications that wait are sent as far as that is possible.

use std::time::Duration;

use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    task::JoinSet,
    time::timeout,
};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::{notifications::Senders, term::Term};

/// For patches under way, each of which ends sooner by its own deadlines.
const DRAIN: Duration = Duration::from_secs(21);

/// For Events and notifications that wait to be sent, and for the Lease: its last renewal and its release have four seconds each.
const LAST: Duration = Duration::from_secs(8);

/// What has to end, each in its turn.
pub(crate) struct Running {
    /// The controllers, while this replica leads.
    pub(super) term: Option<Term>,
    /// The recorder of Events.
    pub(crate) events: JoinSet<()>,
    /// The senders of notifications.
    pub(crate) senders: Senders,
    /// Our part in the election, if there is one.
    pub(crate) elections: JoinSet<()>,
}

impl Running {
    /// Waits for the controllers, which have been asked to end, and then releases the Lease, whatever else hangs.
    pub(crate) async fn drain(mut self, release: &CancellationToken) {
        if let Some(term) = &mut self.term
            && timeout(DRAIN, term.drain()).await.is_err()
        {
            warn!("reconciles did not end within {} s", DRAIN.as_secs());
            term.abort().await;
        }
        // The recorder ends when nobody is left to publish anything.
        drop(self.term);
        release.cancel();
        self.senders.closing.cancel();
        let (events, sent, released) = tokio::join!(
            timeout(LAST, ended(&mut self.events)),
            timeout(LAST, ended(&mut self.senders.tasks)),
            timeout(LAST, ended(&mut self.elections)),
        );
        if events.is_err() {
            warn!(
                "Events were not written within {} s and are lost",
                LAST.as_secs()
            );
        }
        if sent.is_err() {
            warn!(
                "notifications were not sent within {} s and are lost",
                LAST.as_secs()
            );
        }
        if released.is_err() {
            warn!("the Lease was not released within {} s", LAST.as_secs());
        }
    }
}

async fn ended(tasks: &mut JoinSet<()>) {
    while tasks.join_next().await.is_some() {}
}

/// The two ways in which a process is asked to stop.
pub(crate) struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    /// # Errors
    ///
    /// When the runtime cannot listen to signals.
    pub(crate) fn new() -> std::io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    /// Waits for one of them.
    pub(crate) async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
