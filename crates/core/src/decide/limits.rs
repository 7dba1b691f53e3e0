//! Limits that prevent or delay the rollout of stale containers.

use std::{cmp::Reverse, time::Duration};

use jiff::Timestamp;

use super::{Finding, Observed, Policy, Status};
use crate::{
    annotations::{Hold, Settings},
    state::{Reason, State},
};

/// The status of a delayed rollout, and when the delay ends, if that is known.
type Delay<'a> = (Status<'a>, Option<Timestamp>);

impl Policy {
    /// Why the candidates are not rolled out now.
    ///
    /// The budget comes last, so that only workloads that could take a slot wait for one.
    pub(super) fn delay<'a>(
        &self,
        observed: &Observed,
        settings: &Settings,
        findings: &'a [Finding<'_>],
        candidates: &[&'a Finding<'_>],
        now: Timestamp,
    ) -> Option<Delay<'a>> {
        let name = candidates.first()?.name();
        if settings.is_held(now) {
            let end = settings.hold.and_then(Hold::end);
            return Some(((State::Held, None, Some(name)), end));
        }
        if observed.on_delete {
            let status = (State::Skipped, Some(Reason::OnDelete), Some(name));
            return Some((status, None));
        }
        // New pods pull every image, so a rollout of one container would bring back what was rolled back of another.
        let rolled_back = findings.iter().find(|finding| finding.is_rolled_back());
        if let Some(finding) = rolled_back.filter(|_| settings.holds_rollbacks()) {
            let reason = Some(Reason::RolledBack);
            return Some(((State::Held, reason, Some(finding.name())), None));
        }
        if let Some(blocking) = findings.iter().find(|finding| finding.blocks_new_pods()) {
            return Some(outdated(
                Reason::WaitingForOtherContainer,
                blocking.name(),
                None,
            ));
        }
        if let Some((end, Reverse(name))) = self.settling(findings, now) {
            return Some(outdated(Reason::Settling, name, Some(end)));
        }
        let last = last_rollout(observed).and_then(|last| end(last, self.min_interval, now));
        if last.is_some() {
            return Some(outdated(Reason::MinInterval, name, last));
        }
        self.budget_spent
            .then(|| outdated(Reason::WaitingForBudget, name, None))
    }

    /// When all changed tags have settled, and the container that settles last. New pods pull every image, so a rollout of one
    /// container also applies the last known digests of the others.
    fn settling<'a>(
        &self,
        findings: &'a [Finding<'_>],
        now: Timestamp,
    ) -> Option<(Timestamp, Reverse<&'a str>)> {
        let changing = findings.iter().filter(|finding| finding.may_change());
        let ends = changing.filter_map(|finding| {
            let end = end(finding.since()?, self.settle, now)?;
            Some((end, Reverse(finding.name())))
        });
        ends.max()
    }
}

fn outdated(reason: Reason, container: &str, end: Option<Timestamp>) -> Delay<'_> {
    ((State::Outdated, Some(reason), Some(container)), end)
}

/// Our last rollout of the workload: from its annotation or, if its tools strip that, from the memory of this process.
pub(super) fn last_rollout(observed: &Observed) -> Option<Timestamp> {
    let containers = observed.containers.iter();
    let remembered = containers.filter_map(|container| Some(container.remembered.as_ref()?.at));
    remembered.chain(observed.last_rollout).max()
}

/// When `length` after `start` ends, if it has not ended yet. The clock may have been set, so a start in the future is treated
/// like one in the past.
pub(super) fn end(start: Timestamp, length: Duration, now: Timestamp) -> Option<Timestamp> {
    let age = now.duration_since(start).unsigned_abs();
    (age < length).then(|| start.checked_add(length).unwrap_or(Timestamp::MAX))
}
