//! Liveness and readiness.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use tokio::time::{self, Instant};

use crate::{leader_election::leadership::Leadership, workload::Watch};

/// Interval of the heartbeat.
const BEAT: Duration = Duration::from_secs(5);

/// A runtime without a heartbeat for this time is stuck: the liveness probe fails.
const STUCK: Duration = Duration::from_secs(30);

/// The state of the health endpoints.
#[derive(Debug)]
pub(crate) struct Health {
    beat: Mutex<Instant>,
    watches: Mutex<HashMap<Watch, WatchPhase>>,
    leadership: Arc<Leadership>,
    stopping: AtomicBool,
}

/// The startup phase of a watch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WatchPhase {
    /// The first list is in progress.
    Pending,
    /// The first list is complete. Later failures do not affect readiness.
    Synced,
    /// The API server forbids the watch, or does not serve the kind.
    Refused,
}

impl Health {
    /// Live, and not ready before these watches have synced, or with an election before the Lease was read.
    pub(crate) fn new(
        watches: impl IntoIterator<Item = Watch>,
        leadership: Arc<Leadership>,
    ) -> Self {
        let pending = watches
            .into_iter()
            .map(|watch| (watch, WatchPhase::Pending));
        Self {
            beat: Mutex::new(Instant::now()),
            watches: Mutex::new(pending.collect()),
            leadership,
            stopping: AtomicBool::new(false),
        }
    }

    /// Runs the heartbeat forever.
    pub(crate) async fn keep_beating(&self) {
        let mut ticks = time::interval(BEAT);
        loop {
            ticks.tick().await;
            *self.beat.lock() = Instant::now();
        }
    }

    /// A term has ended: the next one lists everything again.
    pub(crate) fn end_term(&self) {
        for phase in self.watches.lock().values_mut() {
            *phase = WatchPhase::Pending;
        }
    }

    /// Records the phase of a watch. A synced watch stays synced during a term.
    pub(crate) fn note(&self, watch: &Watch, phase: WatchPhase) {
        let mut watches = self.watches.lock();
        if watches.get(watch) != Some(&WatchPhase::Synced) {
            watches.insert(watch.clone(), phase);
        }
    }

    /// Whether the runtime is not stuck.
    pub(crate) fn is_live(&self) -> bool {
        self.beat.lock().elapsed() < STUCK
    }

    /// The process is stopping and no longer ready.
    pub(crate) fn stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    /// Whether this replica could lead and, if it leads, whether every watch has synced or was refused, and at least one has
    /// synced.
    pub(crate) fn is_ready(&self) -> bool {
        !self.stopping.load(Ordering::Relaxed)
            && self.leadership.can_lead()
            && (!self.leadership.leads() || self.has_synced())
    }

    /// Whether no first list is in progress.
    pub(crate) fn has_listed(&self) -> bool {
        let watches = self.watches.lock();
        watches.values().all(|phase| *phase != WatchPhase::Pending)
    }

    fn has_synced(&self) -> bool {
        let is_synced = |phase: &WatchPhase| *phase == WatchPhase::Synced;
        self.has_listed() && self.watches.lock().values().any(is_synced)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::leader_election::leadership::Term;

    fn watches() -> [Watch; 2] {
        [
            ("Deployment", Some("a".to_owned())),
            ("Deployment", Some("b".to_owned())),
        ]
    }

    #[tokio::test]
    async fn ready_means_every_watch_synced_or_was_refused() {
        let [first, second] = watches();
        let health = Health::new(watches(), Arc::new(Leadership::new(false)));
        health.note(&first, WatchPhase::Refused);
        assert!(!health.is_ready(), "the second is still pending");
        health.note(&second, WatchPhase::Synced);
        assert!(health.is_ready());
        health.note(&second, WatchPhase::Refused);
        assert!(
            health.is_ready(),
            "an outage after the start changes nothing"
        );
    }

    #[tokio::test]
    async fn without_any_readable_kind_it_is_not_ready() {
        let health = Health::new(watches(), Arc::new(Leadership::new(false)));
        for watch in watches() {
            health.note(&watch, WatchPhase::Refused);
        }
        assert!(!health.is_ready());
    }

    #[tokio::test]
    async fn a_replica_that_waits_for_the_lease_is_ready_when_it_has_read_it() {
        let leadership = Arc::new(Leadership::new(true));
        let health = Health::new(watches(), Arc::clone(&leadership));
        assert!(!health.is_ready());
        let election = leadership.election().expect("an election");
        election.note_lease();
        assert!(health.is_ready() && !leadership.leads());
        let now = Instant::now();
        election.renew(Term {
            act_until: now + STUCK,
            end: now + STUCK,
        });
        assert!(!health.is_ready(), "it leads, and its watches are pending");
        for watch in watches() {
            health.note(&watch, WatchPhase::Synced);
        }
        assert!(health.is_ready());
        health.end_term();
        assert!(!health.has_listed(), "the next term lists everything again");
    }

    #[tokio::test(start_paused = true)]
    async fn a_runtime_that_does_not_beat_is_not_live() {
        let health = Health::new([], Arc::new(Leadership::new(false)));
        assert!(health.is_live());
        time::advance(STUCK).await;
        assert!(!health.is_live());
    }
}
