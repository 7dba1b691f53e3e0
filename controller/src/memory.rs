//! The guard's second leg: what was rolled out lately, for workloads whose owners strip our annotations.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use jiff::{SignedDuration, Timestamp};
use kube_autorollout_core::decide::{Remembered, Rollout};

/// After so long a rollout says nothing any more: `decide` lets the same digest be rolled out again after an hour.
const KEPT: SignedDuration = SignedDuration::from_hours(1);

/// A bound on what is remembered, far above what an hour of rollouts brings.
const MOST: usize = 100_000;

/// The last rollout of each container.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    rollouts: Mutex<HashMap<Key, Remembered>>,
}

/// A workload's UID and a container's name.
type Key = (String, String);

impl Memory {
    /// What the container was last rolled out to by this process, however long ago.
    pub(crate) fn remembered(&self, uid: &str, container: &str) -> Option<Remembered> {
        self.lock()
            .get(&(uid.to_owned(), container.to_owned()))
            .cloned()
    }

    /// Remembers a rollout; one to another digest takes the place of the one before.
    pub(crate) fn remember(&self, uid: &str, rollout: &Rollout, now: Timestamp) {
        let mut rollouts = self.lock();
        if rollouts.len() >= MOST {
            rollouts.retain(|_, remembered| now.duration_since(remembered.at) < KEPT);
        }
        for change in &rollout.changes {
            let remembered = Remembered {
                digest: change.to.clone(),
                at: now,
            };
            rollouts.insert((uid.to_owned(), change.container.clone()), remembered);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Remembered>> {
        self.rollouts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
