//! Patches whose response was lost or is pending.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use kube_autorollout_core::decide::Rollout;

use super::{is_newer, patch::PatchContent};
use crate::workload::Workload;

/// Patches kept per workload: the first, which is the most likely to have been applied, and the latest.
const CAPACITY: usize = 4;

/// For this time a patch is repeated unchanged. Later its timestamp would be too old: delays are measured from it.
const REPEAT_WITHIN: SignedDuration = SignedDuration::from_secs(60);

/// The patches of one workload that may have been applied, the latest last.
///
/// They are kept until a response arrives, or until the workload shows whether one was applied.
#[derive(Debug, Default)]
pub(crate) struct UnconfirmedPatches(Vec<SentPatch>);

#[derive(Debug)]
struct SentPatch {
    content: PatchContent,
    /// The patch can only be applied while the workload has this `resourceVersion`.
    resource_version: Option<Arc<str>>,
}

impl UnconfirmedPatches {
    /// Returns the content of a patch that is about to be sent. A recent patch for the same rollout is repeated unchanged, so
    /// that it makes no difference which of them is applied.
    pub(super) fn begin(
        &mut self,
        workload: &Workload,
        rollout: &Rollout,
        now: Timestamp,
    ) -> PatchContent {
        let sent = &mut self.0;
        let same = |sent: &SentPatch| {
            sent.content.rollout == *rollout
                && now.duration_since(sent.content.at).abs() < REPEAT_WITHIN
        };
        let content = match sent.iter().position(same) {
            Some(index) => sent.remove(index).content,
            None => PatchContent::new(rollout, now),
        };
        if sent.len() >= CAPACITY {
            sent.remove(1);
        }
        sent.push(SentPatch {
            content: content.clone(),
            resource_version: workload.resource_version().cloned(),
        });
        content
    }

    /// Compares the workload with the patches; returns the content of the patch that it carries. Patches that can no longer be
    /// applied are dropped.
    pub(super) fn recognise(
        &mut self,
        workload: &Workload,
        restarted_at: &str,
    ) -> Option<PatchContent> {
        let mut sent = self.0.iter();
        let applied = sent.position(|sent| sent.content.is_in(workload, restarted_at));
        if let Some(applied) = applied {
            let applied = self.0.swap_remove(applied);
            self.clear();
            return Some(applied.content);
        }
        self.0
            .retain(|sent| !is_newer(workload, sent.resource_version.as_ref()));
        None
    }

    /// The rollout of the latest patch.
    pub(crate) fn last(&self) -> Option<Rollout> {
        self.0.last().map(|last| last.content.rollout.clone())
    }

    /// The result of all patches is known.
    pub(super) fn clear(&mut self) {
        self.0 = Vec::new();
    }
}
