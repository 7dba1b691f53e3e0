//! Patches that were sent and whose answer has not come.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use jiff::{SignedDuration, Timestamp};
use kube_autorollout_core::decide::Rollout;

use super::is_newer;
use crate::{rollout::patch::Written, workload::Workload, workload::identity::Identity};

/// Of each workload so many are kept: the first one, which is the likeliest to have been taken, and the last ones.
const KEPT: usize = 4;

/// So long a patch is sent again as it was. Later its instant would be too old for the waits that are counted from it.
const SAME: SignedDuration = SignedDuration::from_secs(60);

/// The patches of each workload that may have been taken, the last one at the end.
///
/// An entry ends with the answer, when the workload shows whether its patch was taken, or when the workload is left alone.
#[derive(Debug, Default)]
pub(crate) struct Unconfirmed(Mutex<HashMap<Identity, Vec<Sent>>>);

#[derive(Debug)]
struct Sent {
    rollout: Rollout,
    written: Written,
    /// Of the workload that it was sent for: it cannot be taken any more when the workload has another.
    resource_version: Option<String>,
}

impl Unconfirmed {
    /// A patch is about to be sent; says what it is to write. One that was sent before for the same is sent again as it
    /// was, so that it makes no difference which of both is taken.
    pub(super) fn begin(
        &self,
        identity: &Identity,
        workload: &Workload,
        rollout: &Rollout,
        now: Timestamp,
    ) -> Written {
        let mut all = self.lock();
        let sent = all.entry(identity.clone()).or_default();
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
            resource_version: workload.meta().resource_version.clone(),
        });
        written
    }

    /// Compares a workload, as it was seen, with what was sent for it: the rollout that it carries, and when it was sent.
    pub(super) fn settle(
        &self,
        identity: &Identity,
        workload: &Workload,
        restarted_at: &str,
    ) -> Option<(Rollout, Timestamp)> {
        let mut all = self.lock();
        let sent = all.get_mut(identity)?;
        let taken = sent
            .iter()
            .position(|sent| sent.written.is_in(workload, restarted_at));
        if let Some(taken) = taken {
            let taken = sent.swap_remove(taken);
            all.remove(identity);
            return Some((taken.rollout, taken.written.at));
        }
        sent.retain(|sent| !is_newer(workload, sent.resource_version.as_deref()));
        if sent.is_empty() {
            all.remove(identity);
        }
        None
    }

    /// It is known what became of them, or it does not matter any more.
    pub(crate) fn forget(&self, identity: &Identity) {
        self.lock().remove(identity);
    }

    /// Another replica may lead from now on, and tells what it finds.
    pub(crate) fn clear(&self) {
        *self.lock() = HashMap::new();
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Identity, Vec<Sent>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
