//! Backoff after conflicts: patches that were refused because the workload was changed concurrently.
//!
//! A patch with the same `resourceVersion` would be refused again, so the workload waits until the watch shows a later one,
//! and from the second consecutive conflict on also for a backoff: frequent changes may last for days, and each attempt costs
//! a list of the workload's pods.

use std::{sync::Arc, time::Duration};

use kube_autorollout_core::{backoff::Backoff, schedule};
use tokio::time::Instant;

use super::is_newer;
use crate::workload::Workload;

/// Backoff from the second consecutive conflict on.
const RETRY: Backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(30));

/// Maximum wait for the watch to show a later object.
const WATCH_TIMEOUT: Duration = Duration::from_secs(60);

/// Minimum interval of checks whether the watch has shown a later object.
const POLL: Duration = Duration::from_secs(1);

/// The consecutive conflicts of one workload, until it is rolled out or needs no rollout.
#[derive(Debug, Default)]
pub(crate) struct Conflicts(Option<Box<Conflict>>);

#[derive(Debug)]
struct Conflict {
    count: u32,
    /// The version that the last patch was sent for.
    resource_version: Option<Arc<str>>,
    at: Instant,
}

impl Conflicts {
    /// Adds a conflict of a patch for this object; returns the number of consecutive conflicts.
    pub(super) fn add(&mut self, target: &Workload) -> u32 {
        let before = self.0.as_ref().map_or(0, |conflict| conflict.count);
        let count = before.saturating_add(1);
        self.0 = Some(Box::new(Conflict {
            count,
            resource_version: target.resource_version().cloned(),
            at: Instant::now(),
        }));
        count
    }

    /// How long to wait before this object, as the watch shows it, is evaluated again; `None` if it may be evaluated now.
    pub(crate) fn wait(&self, workload: &Workload) -> Option<Duration> {
        let conflict = self.0.as_ref()?;
        let since = conflict.at.elapsed();
        let seed = schedule::seed(workload.uid());
        let pause = match conflict.count {
            0 | 1 => Duration::ZERO,
            more => RETRY.delay(more - 1, seed),
        };
        let left = pause.saturating_sub(since);
        if is_newer(workload, conflict.resource_version.as_ref()) {
            return Some(left).filter(|left| !left.is_zero());
        }
        let timeout = WATCH_TIMEOUT.max(pause).saturating_sub(since);
        let next = left.max(since).max(POLL).min(timeout);
        Some(next).filter(|next| !next.is_zero())
    }

    /// Whether the workload waits for a later object.
    pub(crate) const fn is_open(&self) -> bool {
        self.0.is_some()
    }

    /// The workload was rolled out, or needs no rollout.
    pub(crate) fn end(&mut self) {
        self.0 = None;
    }
}
