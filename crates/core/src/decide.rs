//! Decides about a workload: every rollout is decided here.
//!
//! A rollout happens only if it will change what runs, and once per digest: a digest that is in the workload's [`Record`]
//! for a container is not rolled out again. If the pods do not run it nevertheless, [`State::NotConverging`] reports why.
//! There is one bounded exception, [`Policy::retry_after`]: a completed rollout whose pods still run another image. A digest
//! that was rolled back is not rolled out again either ([`Reason::RolledBack`]), unless the owner allows it. An error, a
//! doubt or a missing response never leads to a rollout.
//!
//! A rollout is *in flight* while the workload's controller has not observed the generation, or pods of an older template
//! remain that are not being deleted. Pods that are pending, not ready or on a lost node delay nothing: often it is the next
//! image that fixes them.

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
pub use observed::{Container, Exemption, Observed, RecentRollout, Running, Waiting};

/// How rollouts are limited, repeated and pinned. By default nothing is delayed, repeated or pinned.
///
/// Limits and pins never add a rollout.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Policy {
    /// How long a tag must have named a digest before the digest is rolled out.
    pub settle: Duration,
    /// The minimum time between two rollouts of one workload.
    pub min_interval: Duration,
    /// The delays, each from the last rollout, before a digest is rolled out again whose completed rollout left pods that run
    /// another image. There is at most one retry per entry.
    pub retry_after: Arc<[Duration]>,
    /// The maximum number of rollouts is in flight.
    pub budget_spent: bool,
    /// A rollout pins the images of new pods.
    pub pin: bool,
}

/// What to do about a workload, and what to report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// The state of the workload: after the `rollout`, if there is one.
    pub state: State,
    /// The reason, if the state has any.
    pub reason: Option<Reason>,
    /// The container that determined it.
    pub container: Option<String>,
    /// Whether a checked container is stale.
    pub stale: bool,
    /// Whether a rollout is in flight and makes progress, and so counts towards the budget.
    pub in_flight: bool,
    /// When the delay of a rollout ends and the workload must be rechecked.
    pub recheck_at: Option<Timestamp>,
    /// The rollout to start now, if any.
    pub rollout: Option<Rollout>,
}

/// A rollout: a single patch for all stale containers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rollout {
    /// The containers that it updates, at least one, sorted by name.
    pub changes: Vec<Change>,
    /// The record to write.
    pub record: Record,
    /// The attempts to write.
    pub attempts: Attempts,
    /// The pins to write, for all checked containers: unchanged ones would drift otherwise.
    pub pins: Pins,
}

/// Decides about a workload.
///
/// It is total, and independent of the order of containers and pods. Neither replacing a response of a registry with an error
/// nor a limit ever adds a rollout.
pub fn decide(
    observed: &Observed,
    settings: &Settings,
    policy: &Policy,
    now: Timestamp,
) -> Decision {
    let findings = container::findings(observed, policy, now);
    let ((state, reason, container), recheck_at) =
        if let Some((state, reason)) = before_containers(observed) {
            ((state, reason, None), None)
        } else {
            match next(observed, settings, policy, &findings, now) {
                Next::Rollout(rollout) => return rolling_out(rollout),
                Next::Report(status, recheck_at) => (status, recheck_at),
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
        recheck_at,
        rollout: None,
    }
}

/// The state to report, its reason, and the container that determined it.
type Status<'a> = (State, Option<Reason>, Option<&'a str>);

enum Next<'a> {
    Rollout(Rollout),
    /// With the time of the recheck, if it is known.
    Report(Status<'a>, Option<Timestamp>),
}

/// What takes precedence over all containers.
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

/// Considers stale containers first, then a rollout in flight, then the other containers.
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
        let delay = policy.delay(observed, settings, findings, &candidates, now);
        return delay.map_or_else(
            || Next::Rollout(rollout(observed, policy, findings, &candidates)),
            |(status, recheck_at)| Next::Report(status, recheck_at),
        );
    }
    let retry = findings.iter().filter_map(Finding::retry).min();
    let status = not_converging(findings)
        .or_else(|| in_flight(observed, findings))
        .unwrap_or_else(|| at_rest(findings));
    Next::Report(status, retry)
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

/// The pins of all containers, if the policy pins.
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
        recheck_at: None,
        rollout: Some(rollout),
    }
}

fn not_converging<'a>(findings: &'a [Finding<'_>]) -> Option<Status<'a>> {
    findings.iter().find_map(|finding| {
        let reason = finding.failure_to_converge()?;
        Some((State::NotConverging, Some(reason), Some(finding.name())))
    })
}

/// `RollingOut` is reported while a rollout is in flight, and for one of ours until all of its pods have become ready and none
/// of its containers is stale any longer.
fn in_flight<'a>(observed: &Observed, findings: &'a [Finding<'_>]) -> Option<Status<'a>> {
    let stale = findings
        .iter()
        .find(|finding| finding.is_stale())
        .map(Finding::name);
    let unfinished = observed.unfinished && !observed.complete;
    (observed.is_in_flight() || unfinished || stale.is_some()).then_some((
        State::RollingOut,
        Some(Reason::InFlight),
        stale,
    ))
}

/// The status if nothing is stale and no rollout is in flight.
fn at_rest<'a>(findings: &'a [Finding<'_>]) -> Status<'a> {
    let first = |wanted: fn(Outcome) -> Option<Reason>| {
        findings
            .iter()
            .find_map(|finding| Some((wanted(finding.outcome())?, finding.name())))
    };
    let unknown = first(|outcome| match outcome {
        Outcome::Unknown(reason) => Some(reason),
        _ => None,
    });
    let not_started =
        || first(|outcome| (outcome == Outcome::NotStarted).then_some(Reason::NotStarted));
    if let Some((reason, name)) = unknown.or_else(not_started) {
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
