//! Workloads that somebody else had changed before our patch came, and when each is decided again.
//!
//! A patch for the `resourceVersion` that has just been refused would be refused again, so each waits until a watch shows a
//! later one, and from the second conflict in a row on for longer each time: whoever keeps changing the workload may go on
//! for days, and each attempt costs a list of its pods.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use kube_autorollout_core::{backoff::Backoff, schedule};
use tokio::time::Instant;

use super::is_newer;
use crate::{workload::Workload, workload::identity::Identity};

/// The wait after the second conflict in a row, and the longest.
const RETRY: Backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(30));

/// A watch that shows no later object for so long is not waited for any more.
const SHOWN: Duration = Duration::from_secs(60);

/// The shortest time after which a watch is asked again what it has shown.
const LOOK: Duration = Duration::from_secs(1);

/// The conflicts of each workload, until it is rolled out, needs no rollout any more, or is left alone.
#[derive(Debug, Default)]
pub(crate) struct Conflicts(Mutex<HashMap<Identity, Conflict>>);

#[derive(Debug)]
struct Conflict {
    in_a_row: u32,
    /// What the last patch was sent for.
    resource_version: Option<String>,
    at: Instant,
}

impl Conflicts {
    /// A patch for this object came too late; says how often that has happened in a row.
    pub(super) fn add(&self, identity: &Identity, target: &Workload) -> u32 {
        let mut all = self.lock();
        let before = all.get(identity).map_or(0, |conflict| conflict.in_a_row);
        let in_a_row = before.saturating_add(1);
        let conflict = Conflict {
            in_a_row,
            resource_version: target.meta().resource_version.clone(),
            at: Instant::now(),
        };
        all.insert(identity.clone(), conflict);
        in_a_row
    }

    /// How long the workload, as the watch has shown it, is to be left alone; nothing if it may be decided now.
    pub(crate) fn wait(&self, identity: &Identity, workload: &Workload) -> Option<Duration> {
        let all = self.lock();
        let conflict = all.get(identity)?;
        let since = conflict.at.elapsed();
        let seed = schedule::seed(&identity.uid);
        let pause = match conflict.in_a_row {
            0 | 1 => Duration::ZERO,
            more => RETRY.delay(more - 1, seed),
        };
        let left = pause.saturating_sub(since);
        if is_newer(workload, conflict.resource_version.as_deref()) {
            return Some(left).filter(|left| !left.is_zero());
        }
        let shown = SHOWN.max(pause).saturating_sub(since);
        let look = left.max(since).max(LOOK).min(shown);
        Some(look).filter(|look| !look.is_zero())
    }

    /// Whether a later object of the workload is waited for.
    pub(crate) fn are_of(&self, identity: &Identity) -> bool {
        self.lock().contains_key(identity)
    }

    /// The workload is rolled out, needs no rollout any more, or is left alone.
    pub(crate) fn over(&self, identity: &Identity) {
        self.lock().remove(identity);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Identity, Conflict>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
