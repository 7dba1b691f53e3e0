//! What is remembered of a workload's rollouts from one decision to the next.

use std::time::Duration;

use jiff::Timestamp;
use kube_autorollout_core::{
    annotations::{KUBECTL_RESTARTED_AT, RESTARTED_AT},
    decide::Decision,
    state::{Reason, State},
};

use super::flight::Flight;
use crate::{
    observe::observation::{Observation, PROGRESS_DEADLINE, TrackedRollout},
    workload::Workload,
};

/// What is remembered of one workload.
#[derive(Debug, Default)]
pub(crate) struct Tracker {
    /// Since when it has been known not to run what its tags name, if it does not.
    outdated: Option<Timestamp>,
    /// Our own rollout, until its pods run what it was for.
    rollout: Option<Box<OurRollout>>,
    /// Some decision since the start found no rollout in flight.
    settled: bool,
    /// Some rollout is in flight.
    in_flight: Option<Box<Flight>>,
    /// What did not converge at the last decision; a container that crashes again and again runs in between.
    stuck: Option<Box<Stuck>>,
}

/// How our rollout went on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transition {
    /// The pods run what it was for, so long after the patch.
    Completed(Duration),
    /// The pods do not run what it was for; reported once.
    NotConverging,
}

/// A rollout that does not converge.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Stuck {
    pub(crate) reason: Reason,
    pub(crate) digest: String,
    /// Each attempt is a case of its own.
    pub(crate) attempt: u32,
    pub(crate) container: String,
}

#[derive(Debug, Clone, Copy)]
struct OurRollout {
    since: Timestamp,
    /// The workload's generation after the patch.
    generation: i64,
    /// It has been counted as one that does not converge.
    stuck: bool,
}

impl Tracker {
    /// What observing the workload takes of it.
    pub(crate) fn followed(&self) -> TrackedRollout {
        TrackedRollout {
            generation: self.rollout.as_ref().map_or(0, |it| it.generation),
            unfinished: self.rollout.is_some(),
            since: self.in_flight().map(|flight| flight.since),
        }
    }

    /// The rollout of the workload that is in flight, ours or another's.
    pub(crate) fn in_flight(&self) -> Option<Flight> {
        self.in_flight.as_deref().copied()
    }

    /// Since when the workload has been known not to run what its tags name.
    pub(crate) const fn outdated(&self) -> Option<Timestamp> {
        self.outdated
    }

    /// What is known not to converge.
    pub(crate) fn stuck(&self) -> Option<&Stuck> {
        self.stuck.as_deref()
    }

    /// The API server took our patch, at the workload's generation.
    pub(crate) fn triggered(&mut self, generation: i64, now: Timestamp) {
        self.in_flight = Some(Box::new(Flight::begun(now)));
        self.rollout = Some(Box::new(OurRollout {
            since: now,
            generation,
            stuck: false,
        }));
    }

    /// The workload was decided upon, and if it had to be rolled out, it was.
    pub(crate) fn decided(
        &mut self,
        workload: &Workload,
        decision: &Decision,
        observation: &Observation,
        now: Timestamp,
    ) -> Option<Transition> {
        if !self.settled && self.rollout.is_none() {
            let adopted = OurRollout::adopted(workload, decision, observation, now);
            self.rollout = adopted.map(Box::new);
        }
        self.settled |= !matches!(decision.state, State::RollingOut | State::Unknown);
        let transition = self.follow(decision, observation, now);
        // Where its tags were not observed, what was known of them holds.
        let outdated = decision.stale || (observation.tags.is_none() && self.outdated.is_some());
        self.enter(decision.state, outdated, now);
        match decision.state {
            State::NotConverging => {
                self.stuck = Some(Box::new(Stuck::of(decision, observation)));
            }
            State::RollingOut | State::Unknown => {}
            _ => self.stuck = None,
        }
        transition
    }

    /// An annotation of the workload cannot be followed.
    pub(crate) fn invalid(&mut self, now: Timestamp) {
        self.rollout = None;
        self.stuck = None;
        self.enter(State::InvalidConfiguration, false, now);
    }

    /// Nothing could be decided.
    pub(crate) fn failed(&mut self, now: Timestamp) {
        self.enter(State::Unknown, false, now);
    }

    /// Follows our rollout to its end.
    fn follow(
        &mut self,
        decision: &Decision,
        observation: &Observation,
        now: Timestamp,
    ) -> Option<Transition> {
        if decision.state == State::RollingOut {
            let flight = self
                .in_flight
                .get_or_insert_with(|| Flight::found(now).into());
            if observation.tags.is_some() {
                flight.polled(now);
            }
        } else {
            self.in_flight = None;
        }
        match (decision.state, &mut self.rollout) {
            (State::UpToDate, Some(rollout)) if observation.observed.complete => {
                let took = now.duration_since(rollout.since).unsigned_abs();
                self.rollout = None;
                Some(Transition::Completed(took))
            }
            (State::NotConverging, Some(rollout)) if !rollout.stuck => {
                rollout.stuck = true;
                Some(Transition::NotConverging)
            }
            (State::Skipped, _) => {
                self.rollout = None;
                None
            }
            (State::Held, _) if decision.reason == Some(Reason::RolledBack) => {
                self.rollout = None; // Its end is that somebody went back from it.
                None
            }
            _ => None,
        }
    }

    /// Notes whether the workload runs what its tags name: while a rollout is in flight it does not if that is ours, or if
    /// some container is known to be `outdated`.
    fn enter(&mut self, state: State, outdated: bool, now: Timestamp) {
        let outdated = match state {
            State::Unknown => self.outdated.is_some(),
            State::Outdated | State::Held | State::NotConverging => true,
            State::RollingOut => self.rollout.is_some() || outdated,
            _ => false,
        };
        self.outdated = outdated.then(|| self.outdated.unwrap_or(now));
    }
}

impl Stuck {
    /// What a decision says does not converge.
    pub(crate) fn of(decision: &Decision, observation: &Observation) -> Self {
        let container = decision.container.clone().unwrap_or_default();
        let mut containers = observation.observed.containers.iter();
        let decided_by = containers.find(|found| found.name == container);
        let tag = decided_by.and_then(|container| container.tag.as_ref().ok());
        Self {
            reason: decision.reason.unwrap_or(Reason::InFlight),
            digest: tag.map(ToString::to_string).unwrap_or_default(),
            attempt: observation.observed.attempts.of(&container),
            container,
        }
    }
}

impl OurRollout {
    /// After a restart a rollout that is in flight, to what the tags name now, is taken for ours; one whose pods are all
    /// replaced and not all ready is if it began lately, as a pod may also stop being ready much later.
    fn adopted(
        workload: &Workload,
        decision: &Decision,
        observation: &Observation,
        now: Timestamp,
    ) -> Option<Self> {
        let observed = &observation.observed;
        let to_the_tag = observed.containers.iter().any(|container| {
            let recorded = observed.record.digest(&container.name);
            recorded.is_some() && recorded == container.tag.as_ref().ok()
        });
        let template = workload.template();
        let restarted_at = template
            .annotation(RESTARTED_AT)
            .or_else(|| template.annotation(KUBECTL_RESTARTED_AT));
        let since: Timestamp = restarted_at?.parse().ok()?;
        let lately = now.duration_since(since).abs() < PROGRESS_DEADLINE;
        let runs = decision.state == State::RollingOut || (!observed.complete && lately);
        (runs && to_the_tag).then_some(Self {
            since,
            generation: 0,
            stuck: false,
        })
    }
}
