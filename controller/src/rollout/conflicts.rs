//! Workloads that somebody else had changed before our patch came, and when each is decided again.
//!
//! A patch for the `resourceVersion` that has just been refused would be refused again, so each waits until a watch shows a
//! later one, and from the second conflict in a row on for longer each time: what keeps changing the workload may go on
//! for days, and each attempt costs a list of its pods.

use std::{sync::Arc, time::Duration};

use kube_autorollout_core::{backoff::Backoff, schedule};
use tokio::time::Instant;

use super::is_newer;
use crate::workload::Workload;

/// The wait after the second conflict in a row, and the longest.
const RETRY: Backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(30));

/// A watch that shows no later object for so long is not waited for any more.
const SHOWN: Duration = Duration::from_secs(60);

/// The shortest time after which a watch is asked again what it has shown.
const POLL: Duration = Duration::from_secs(1);

/// The conflicts of one workload, until it is rolled out or needs no rollout any more.
#[derive(Debug, Default)]
pub(crate) struct Conflicts(Option<Box<Conflict>>);

#[derive(Debug)]
struct Conflict {
    in_a_row: u32,
    /// What the last patch was sent for.
    resource_version: Option<Arc<str>>,
    at: Instant,
}

impl Conflicts {
    /// A patch for this object came too late; returns how often that has happened in a row.
    pub(super) fn add(&mut self, target: &Workload) -> u32 {
        let before = self.0.as_ref().map_or(0, |conflict| conflict.in_a_row);
        let in_a_row = before.saturating_add(1);
        self.0 = Some(Box::new(Conflict {
            in_a_row,
            resource_version: target.resource_version().cloned(),
            at: Instant::now(),
        }));
        in_a_row
    }

    /// How long the workload, as the watch has shown it, is to be left alone; nothing if it may be decided now.
    pub(crate) fn wait(&self, workload: &Workload) -> Option<Duration> {
        let conflict = self.0.as_ref()?;
        let since = conflict.at.elapsed();
        let seed = schedule::seed(workload.uid());
        let pause = match conflict.in_a_row {
            0 | 1 => Duration::ZERO,
            more => RETRY.delay(more - 1, seed),
        };
        let left = pause.saturating_sub(since);
        if is_newer(workload, conflict.resource_version.as_deref()) {
            return Some(left).filter(|left| !left.is_zero());
        }
        let shown = SHOWN.max(pause).saturating_sub(since);
        let next = left.max(since).max(POLL).min(shown);
        Some(next).filter(|next| !next.is_zero())
    }

    /// Whether a later object of the workload is waited for.
    pub(crate) const fn is_open(&self) -> bool {
        self.0.is_some()
    }

    /// The workload is rolled out, or needs no rollout any more.
    pub(crate) fn end(&mut self) {
        self.0 = None;
    }
}
