//! Whether the process is alive, and whether its watches have begun.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::time::{self, Instant};

use crate::leader_election::leadership::Leadership;

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

/// One watch: a kind, and the namespace it looks at; nothing stands for all.
pub(crate) type Watch = (&'static str, Option<String>);

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
    /// Alive, and not ready before the given watches have begun and, where there is an election, the Lease has been read.
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
            *lock(&self.beat) = Instant::now();
        }
    }

    /// Notes how far a watch has come; one that has synced stays so.
    pub(crate) fn note(&self, watch: &Watch, start: Start) {
        let mut watches = lock(&self.watches);
        if watches.get(watch) != Some(&Start::Synced) {
            watches.insert(watch.clone(), start);
        }
    }

    /// The runtime has shown itself lately.
    pub(crate) fn is_live(&self) -> bool {
        lock(&self.beat).elapsed() < STUCK
    }

    /// The process was asked to stop: it is not ready any more.
    pub(crate) fn stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    /// Every watch has begun or was refused, at least one has begun, and nothing keeps this replica from leading when its
    /// turn comes.
    pub(crate) fn is_ready(&self) -> bool {
        let watches = lock(&self.watches);
        !self.stopping.load(Ordering::Relaxed)
            && self.leadership.can_lead()
            && watches.values().all(|start| *start != Start::Pending)
            && watches.values().any(|start| *start == Start::Synced)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

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
        for watch in watches() {
            health.note(&watch, Start::Synced);
        }
        assert!(!health.is_ready());
        let Leadership::Elected(elected) = &*leadership else {
            unreachable!("it was made so");
        };
        elected.note_lease();
        assert!(health.is_ready() && !leadership.leads());
    }

    #[tokio::test(start_paused = true)]
    async fn a_runtime_that_does_not_beat_is_not_live() {
        let health = Health::new([], Arc::new(Leadership::Always));
        assert!(health.is_live());
        time::advance(STUCK).await;
        assert!(!health.is_live());
    }
}
