//! Patches that were sent and whose answer has not come.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use kube_autorollout_core::decide::Rollout;

use super::{is_newer, patch::Written};
use crate::workload::Workload;

/// Of each workload so many are kept: the first one, which is the likeliest to have been taken, and the last ones.
const KEPT: usize = 4;

/// So long a patch is sent again as it was. Later its instant would be too old for the waits that are counted from it.
const SAME: SignedDuration = SignedDuration::from_secs(60);

/// The patches of one workload that may have been taken, the last one at the end.
///
/// They end with an answer, or when the workload shows whether one was taken.
#[derive(Debug, Default)]
pub(crate) struct Unconfirmed(Vec<Sent>);

#[derive(Debug)]
struct Sent {
    rollout: Rollout,
    written: Written,
    /// Of the workload that it was sent for: it cannot be taken any more when the workload has another.
    resource_version: Option<Arc<str>>,
}

impl Unconfirmed {
    /// A patch is about to be sent; returns what it is to write. One that was sent before for the same is sent again as it
    /// was, so that it makes no difference which of both is taken.
    pub(super) fn begin(
        &mut self,
        workload: &Workload,
        rollout: &Rollout,
        now: Timestamp,
    ) -> Written {
        let sent = &mut self.0;
        let same = |sent: &Sent| {
            sent.rollout == *rollout && now.duration_since(sent.written.at).abs() < SAME
        };
        let written = match sent.iter().position(same) {
            Some(before) => sent.remove(before).written,
            None => Written::new(rollout, now),
        };
        if sent.len() >= KEPT {
            sent.remove(1);
        }
        sent.push(Sent {
            rollout: rollout.clone(),
            written: written.clone(),
            resource_version: workload.resource_version().cloned(),
        });
        written
    }

    /// Compares the workload, as it was observed, with what was sent for it: the rollout that it carries, and when that was
    /// sent.
    pub(super) fn settle(
        &mut self,
        workload: &Workload,
        restarted_at: &str,
    ) -> Option<(Rollout, Timestamp)> {
        let mut sent = self.0.iter();
        let taken = sent.position(|sent| sent.written.is_in(workload, restarted_at));
        if let Some(taken) = taken {
            let taken = self.0.swap_remove(taken);
            self.end();
            return Some((taken.rollout, taken.written.at));
        }
        self.0
            .retain(|sent| !is_newer(workload, sent.resource_version.as_deref()));
        None
    }

    /// The rollout of the last one, if it was not taken.
    pub(crate) fn last(&self) -> Option<Rollout> {
        let last = self.0.last()?;
        Some(last.rollout.clone())
    }

    /// It is known what became of them.
    pub(super) fn end(&mut self) {
        self.0 = Vec::new();
    }
}
