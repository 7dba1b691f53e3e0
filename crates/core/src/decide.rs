//! What to do about a workload: the one place where a rollout is decided.
//!
//! A rollout happens only when it will change what runs, and once for each digest: the digest that a workload's
//! [`Record`] names for a container is not rolled out again while it is the record. Whatever then keeps the pods from
//! running it is reported as [`State::NotConverging`]. There is one bounded exception, [`Policy::retry_after`]: a rollout
//! that is over and whose pods still run another image. Nor is
//! rolled out what somebody went back from ([`Reason::RolledBack`]), until they say so. An error, a doubt or a missing
//! answer never leads to a rollout.
//!
//! A rollout is *in flight* while the workload's controller has not seen the generation, or pods of an older template are
//! left that are not being deleted. Pods that are pending, not ready or on a node that is away put nothing off: it is
//! often the next image that fixes them.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;

use crate::{
    annotations::Settings,
    pins::Pins,
    record::{Attempts, Change, Record},
    state::{Reason, State},
};

mod container;
mod limits;
mod observed;

use container::{Finding, Outcome};
pub use observed::{Container, Exempt, Observed, Remembered, Running, Waiting};

/// How rollouts are kept from becoming a storm, when one is repeated, and whether it pins. By default nothing is put off,
/// repeated or pinned.
///
/// Limits put a rollout off and never add one, and neither do pins.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Policy {
    /// For how long a tag must have named a digest before that is rolled out.
    pub settle: Duration,
    /// The shortest time between two rollouts of one workload.
    pub min_interval: Duration,
    /// How long to wait, each time from the last rollout, before a digest is rolled out again whose rollout is over and
    /// whose pods run another image: as often as there are entries, and no more.
    pub retry_after: Arc<[Duration]>,
    /// As many rollouts are in flight as there may be at once.
    pub budget_spent: bool,
    /// A rollout pins what new pods run.
    pub pin: bool,
}

/// What to do, and what to say about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// Where the workload stands. If there is a `rollout`, this is where it stands once that has been done.
    pub state: State,
    /// Why, where the state has reasons.
    pub reason: Option<Reason>,
    /// The container that decided it.
    pub container: Option<String>,
    /// Whether some checked container is known to be stale.
    pub stale: bool,
    /// Whether a rollout is in flight and makes progress, which is as long as it counts among those that may be in flight
    /// at once.
    pub in_flight: bool,
    /// When what holds a rollout back ends by itself, which is when the workload has to be decided upon again.
    pub again: Option<Timestamp>,
    /// What to roll out now, if anything.
    pub rollout: Option<Rollout>,
}

/// A rollout: one patch, for all containers that it concerns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rollout {
    /// The containers that it brings up to date, by name. There is at least one.
    pub changes: Vec<Change>,
    /// The record to write with it.
    pub record: Record,
    /// The attempts to write with it.
    pub attempts: Attempts,
    /// The pins to write with it, of all containers that are checked: those that stay would drift otherwise.
    pub pins: Pins,
}

/// Decides about a workload.
///
/// Every observation has an answer. The order of containers and pods does not matter, and neither turning any answer of
/// a registry into an error nor a limit ever adds a rollout.
pub fn decide(
    observed: &Observed,
    settings: &Settings,
    policy: &Policy,
    now: Timestamp,
) -> Decision {
    let findings = container::findings(observed, policy, now);
    let ((state, reason, container), again) =
        if let Some((state, reason)) = before_containers(observed) {
            ((state, reason, None), None)
        } else {
            match next(observed, settings, policy, &findings, now) {
                Next::Rollout(rollout) => return rolling_out(rollout),
                Next::Say(said, again) => (said, again),
            }
        };
    Decision {
        state,
        reason,
        container: container.map(ToOwned::to_owned),
        stale: findings.iter().any(Finding::is_stale),
        in_flight: state == State::RollingOut
            && observed.is_in_flight()
            && !observed.deadline_exceeded,
        again,
        rollout: None,
    }
}

/// What is said: a state, its reason, and the container that decided it.
type Said<'a> = (State, Option<Reason>, Option<&'a str>);

enum Next<'a> {
    Rollout(Rollout),
    /// And when it has to be decided again, if that is known.
    Say(Said<'a>, Option<Timestamp>),
}

/// The questions that come before any container is considered.
fn before_containers(observed: &Observed) -> Option<(State, Option<Reason>)> {
    if observed.paused {
        return Some((State::Paused, None));
    }
    if !observed.generation_observed {
        return Some((State::RollingOut, Some(Reason::InFlight)));
    }
    let mut checked = observed
        .containers
        .iter()
        .filter(|container| container.exempt.is_none())
        .peekable();
    let no_pods = observed.complete
        && !observed.replacing
        && checked.peek().is_some()
        && checked.all(|container| container.pods.is_empty());
    (!observed.wants_pods || no_pods).then_some((State::Skipped, Some(Reason::NoPods)))
}

/// What follows from containers that are stale, of a rollout in flight, and then from all the others.
fn next<'a>(
    observed: &Observed,
    settings: &Settings,
    policy: &Policy,
    findings: &'a [Finding<'_>],
    now: Timestamp,
) -> Next<'a> {
    let candidates: Vec<&Finding<'_>> = findings
        .iter()
        .filter(|finding| finding.is_candidate())
        .collect();
    let stuck = observed.deadline_exceeded || findings.iter().any(Finding::is_stuck);
    if !candidates.is_empty() && (!observed.is_in_flight() || stuck) {
        let wait = policy.hold_back(observed, settings, findings, &candidates, now);
        return wait.map_or_else(
            || Next::Rollout(rollout(observed, policy, findings, &candidates)),
            |(said, again)| Next::Say(said, again),
        );
    }
    let retry = findings.iter().filter_map(Finding::retry).min();
    let said = not_converging(findings)
        .or_else(|| in_flight(observed, findings))
        .unwrap_or_else(|| settled(findings));
    Next::Say(said, retry)
}

fn rollout(
    observed: &Observed,
    policy: &Policy,
    findings: &[Finding<'_>],
    candidates: &[&Finding<'_>],
) -> Rollout {
    let changes: Vec<Change> = candidates
        .iter()
        .filter_map(|finding| finding.change())
        .collect();
    let names = &observed.template_containers;
    Rollout {
        record: observed.record.after(&changes, names),
        attempts: observed.attempts.after(&changes, &observed.record, names),
        pins: pins(policy, findings),
        changes,
    }
}

/// What new pods are to run of each container.
fn pins(policy: &Policy, findings: &[Finding<'_>]) -> Pins {
    let mut pins = Pins::default();
    for finding in findings.iter().filter(|_| policy.pin) {
        if let Some(digest) = finding.pin() {
            pins.pin(finding.name(), finding.image(), &digest);
        }
    }
    pins
}

fn rolling_out(rollout: Rollout) -> Decision {
    Decision {
        state: State::RollingOut,
        reason: Some(Reason::InFlight),
        container: rollout
            .changes
            .first()
            .map(|change| change.container.clone()),
        stale: true,
        in_flight: true,
        again: None,
        rollout: Some(rollout),
    }
}

fn not_converging<'a>(findings: &'a [Finding<'_>]) -> Option<Said<'a>> {
    findings.iter().find_map(|finding| {
        let evidence = finding.evidence()?;
        Some((State::NotConverging, Some(evidence), Some(finding.name())))
    })
}

/// `RollingOut` is said while a rollout is in flight, and of one of ours until its pods have all been ready and no container
/// that it concerned is stale any more.
fn in_flight<'a>(observed: &Observed, findings: &'a [Finding<'_>]) -> Option<Said<'a>> {
    let late = findings
        .iter()
        .find(|finding| finding.is_stale())
        .map(Finding::name);
    let unfinished = observed.unfinished && !observed.complete;
    (observed.is_in_flight() || unfinished || late.is_some()).then_some((
        State::RollingOut,
        Some(Reason::InFlight),
        late,
    ))
}

/// What is said when nothing is stale and nothing moves.
fn settled<'a>(findings: &'a [Finding<'_>]) -> Said<'a> {
    let first = |wanted: fn(Outcome) -> Option<Reason>| {
        findings
            .iter()
            .find_map(|finding| Some((wanted(finding.outcome())?, finding.name())))
    };
    let unknown = first(|outcome| match outcome {
        Outcome::Unknown(reason) => Some(reason),
        _ => None,
    });
    if let Some((reason, name)) = unknown {
        return (State::Unknown, Some(reason), Some(name));
    }
    if let Some((reason, name)) =
        first(|outcome| (outcome == Outcome::NotStarted).then_some(Reason::NotStarted))
    {
        return (State::Unknown, Some(reason), Some(name));
    }
    let current = findings
        .iter()
        .filter_map(|finding| match finding.outcome() {
            Outcome::Current(reason) => Some((reason, std::cmp::Reverse(finding.name()))),
            _ => None,
        });
    if let Some((reason, std::cmp::Reverse(name))) = current.max() {
        let mut checked = findings.iter();
        if let Some(unpinned) = checked.find(|finding| finding.is_not_pinned()) {
            let reason = Some(Reason::NotPinned);
            return (State::UpToDate, reason, Some(unpinned.name()));
        }
        return (State::UpToDate, Some(reason), Some(name));
    }
    let skipped = first(|outcome| match outcome {
        Outcome::Skipped(reason) => Some(reason),
        _ => None,
    });
    let (reason, name) = skipped.unzip();
    (State::Skipped, reason, name)
}

#[cfg(test)]
mod tests;
