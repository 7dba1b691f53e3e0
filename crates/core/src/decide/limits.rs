//! What keeps stale containers from being rolled out, or from being rolled out yet.

use std::{cmp::Reverse, time::Duration};

use jiff::Timestamp;

use super::{Finding, Observed, Policy, Said};
use crate::{
    annotations::{Hold, Settings},
    state::{Reason, State},
};

/// What is said of a rollout that has to wait, and when the wait is over, if that is known.
type Wait<'a> = (Said<'a>, Option<Timestamp>);

impl Policy {
    /// Why the candidates are not rolled out now.
    ///
    /// The budget comes last, so that only those wait for a place in it whom nothing else keeps from taking it.
    pub(super) fn hold_back<'a>(
        &self,
        observed: &Observed,
        settings: &Settings,
        findings: &'a [Finding<'_>],
        candidates: &[&'a Finding<'_>],
        now: Timestamp,
    ) -> Option<Wait<'a>> {
        let name = candidates.first()?.name();
        if settings.is_held(now) {
            let end = settings.hold.and_then(Hold::end);
            return Some(((State::Held, None, Some(name)), end));
        }
        if observed.on_delete {
            let said = (State::Skipped, Some(Reason::OnDelete), Some(name));
            return Some((said, None));
        }
        let mut rolled_back = candidates.iter().filter(|_| settings.keeps_rollbacks());
        if let Some(kept) = rolled_back.find(|finding| finding.is_rolled_back()) {
            let reason = Some(Reason::RolledBack);
            return Some(((State::Held, reason, Some(kept.name())), None));
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

    /// When all that new pods would bring has settled, and which container is the last. They pull every image, so a
    /// rollout for the sake of one acts on the others, too: on what their tags were last known to name.
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

fn outdated(reason: Reason, container: &str, end: Option<Timestamp>) -> Wait<'_> {
    ((State::Outdated, Some(reason), Some(container)), end)
}

/// Our last rollout of the workload: by its own account, or, where its owner's tools strip that, by what this process
/// remembers.
pub(super) fn last_rollout(observed: &Observed) -> Option<Timestamp> {
    let containers = observed.containers.iter();
    let remembered = containers.filter_map(|container| Some(container.remembered.as_ref()?.at));
    remembered.chain(observed.last_rollout).max()
}

/// When `length` from `start` is over, if it is not over yet. The clock may have been set, so a start that is yet to come
/// is no better than one long past.
pub(super) fn end(start: Timestamp, length: Duration, now: Timestamp) -> Option<Timestamp> {
    let age = now.duration_since(start).unsigned_abs();
    (age < length).then(|| start.checked_add(length).unwrap_or(Timestamp::MAX))
}
