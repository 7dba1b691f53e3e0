//! The guard's second leg: what was rolled out lately, for workloads whose owners strip our annotations.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use jiff::{SignedDuration, Timestamp};
use kube_autorollout_core::decide::{Remembered, Rollout};

/// After so long a rollout says nothing any more: `decide` lets the same digest be rolled out again after an hour.
const KEPT: SignedDuration = SignedDuration::from_hours(1);

/// A bound on the workloads that are remembered, far above what an hour of rollouts brings.
const MOST: usize = 100_000;

/// The last rollout of each container.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    rollouts: Mutex<Rollouts>,
}

/// By a workload's UID, with the names of its containers.
type Rollouts = HashMap<Box<str>, Vec<(Box<str>, Remembered)>>;

impl Memory {
    /// What the container was last rolled out to by this process, however long ago.
    pub(crate) fn remembered(&self, uid: &str, container: &str) -> Option<Remembered> {
        let rollouts = self.lock();
        let mut containers = rollouts.get(uid)?.iter();
        let (_, remembered) = containers.find(|(name, _)| **name == *container)?;
        Some(remembered.clone())
    }

    /// Remembers a rollout; one to another digest takes the place of the one before.
    pub(crate) fn remember(&self, uid: &str, rollout: &Rollout, now: Timestamp) {
        let mut rollouts = self.lock();
        if rollouts.len() >= MOST {
            let is_kept = |remembered: &Remembered| now.duration_since(remembered.at) < KEPT;
            rollouts.retain(|_, all| all.iter().any(|(_, remembered)| is_kept(remembered)));
        }
        let containers = rollouts.entry(uid.into()).or_default();
        for change in &rollout.changes {
            let remembered = Remembered {
                digest: change.to.clone(),
                at: now,
            };
            containers.retain(|(name, _)| **name != *change.container);
            containers.push((change.container.as_str().into(), remembered));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Rollouts> {
        self.rollouts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
