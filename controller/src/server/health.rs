//! Whether the process is alive, and whether its watches have begun.

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

/// How often the runtime shows that it runs.
const BEAT: Duration = Duration::from_secs(5);

/// A runtime that has not shown itself for so long is stuck, and the kubelet had better start another.
const STUCK: Duration = Duration::from_secs(30);

/// The state behind the health paths.
#[derive(Debug)]
pub(crate) struct Health {
    beat: Mutex<Instant>,
    watches: Mutex<HashMap<Watch, Start>>,
    leadership: Arc<Leadership>,
    stopping: AtomicBool,
}

/// How far a watch has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Start {
    /// Its first list is under way.
    Pending,
    /// It has seen every object once. What happens to it later does not make us unready.
    Synced,
    /// The API server does not let us watch the kind, or does not know it.
    Refused,
}

impl Health {
    /// Alive, and not ready before the given watches have begun or, where there is an election, the Lease has been read.
    pub(crate) fn new(
        watches: impl IntoIterator<Item = Watch>,
        leadership: Arc<Leadership>,
    ) -> Self {
        let pending = watches.into_iter().map(|watch| (watch, Start::Pending));
        Self {
            beat: Mutex::new(Instant::now()),
            watches: Mutex::new(pending.collect()),
            leadership,
            stopping: AtomicBool::new(false),
        }
    }

    /// Shows for ever that the runtime runs.
    pub(crate) async fn keep_beating(&self) {
        let mut ticks = time::interval(BEAT);
        loop {
            ticks.tick().await;
            *self.beat.lock() = Instant::now();
        }
    }

    /// Notes how far a watch has come; one that has synced stays so.
    pub(crate) fn note(&self, watch: &Watch, start: Start) {
        let mut watches = self.watches.lock();
        if watches.get(watch) != Some(&Start::Synced) {
            watches.insert(watch.clone(), start);
        }
    }

    /// The runtime has shown itself lately.
    pub(crate) fn is_live(&self) -> bool {
        self.beat.lock().elapsed() < STUCK
    }

    /// The process was asked to stop: it is not ready any more.
    pub(crate) fn stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    /// Nothing keeps this replica from leading when its turn comes, and while it leads, every watch has begun or was refused,
    /// and at least one has begun.
    pub(crate) fn is_ready(&self) -> bool {
        !self.stopping.load(Ordering::Relaxed)
            && self.leadership.can_lead()
            && (!self.leadership.leads() || self.watches())
    }

    /// Whether no first list is under way any more.
    pub(crate) fn has_listed(&self) -> bool {
        let watches = self.watches.lock();
        watches.values().all(|start| *start != Start::Pending)
    }

    fn watches(&self) -> bool {
        let watches = self.watches.lock();
        watches.values().all(|start| *start != Start::Pending)
            && watches.values().any(|start| *start == Start::Synced)
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
        let health = Health::new(watches(), Arc::new(Leadership::Always));
        health.note(&first, Start::Refused);
        assert!(!health.is_ready(), "the second is still pending");
        health.note(&second, Start::Synced);
        assert!(health.is_ready());
        health.note(&second, Start::Refused);
        assert!(
            health.is_ready(),
            "an outage after the start changes nothing"
        );
    }

    #[tokio::test]
    async fn without_any_readable_kind_it_is_not_ready() {
        let health = Health::new(watches(), Arc::new(Leadership::Always));
        for watch in watches() {
            health.note(&watch, Start::Refused);
        }
        assert!(!health.is_ready());
    }

    #[tokio::test]
    async fn a_replica_that_waits_for_the_lease_is_ready_when_it_has_read_it() {
        let leadership = Arc::new(Leadership::new(true));
        let health = Health::new(watches(), Arc::clone(&leadership));
        assert!(!health.is_ready());
        let Leadership::Elected(elected) = &*leadership else {
            unreachable!("it was made so");
        };
        elected.note_lease();
        assert!(health.is_ready() && !leadership.leads());
        let now = Instant::now();
        elected.renew(Term {
            act_until: now + STUCK,
            end: now + STUCK,
        });
        assert!(
            !health.is_ready(),
            "it leads, and its watches have not begun"
        );
        for watch in watches() {
            health.note(&watch, Start::Synced);
        }
        assert!(health.is_ready());
    }

    #[tokio::test(start_paused = true)]
    async fn a_runtime_that_does_not_beat_is_not_live() {
        let health = Health::new([], Arc::new(Leadership::Always));
        assert!(health.is_live());
        time::advance(STUCK).await;
        assert!(!health.is_live());
    }
}
