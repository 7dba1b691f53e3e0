//! Tracks the rollouts of a workload from one decision to the next.

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

/// The rollouts of one workload.
#[derive(Debug, Default)]
pub(crate) struct Tracker {
    /// Since when the workload is known to be outdated.
    outdated: Option<Timestamp>,
    /// Our own rollout, until it is complete.
    rollout: Option<Box<OurRollout>>,
    /// Whether some decision in this term found no rollout in flight.
    was_idle: bool,
    /// The rollout in flight, triggered by us or not.
    in_flight: Option<Box<Flight>>,
    /// The rollout that does not converge. It is kept while a crashing container runs in between.
    stuck: Option<Box<StuckRollout>>,
}

/// A transition of our own rollout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transition {
    /// All pods run the new digest; the time since the patch.
    Completed(Duration),
    /// The rollout does not converge; reported once.
    NotConverging,
}

/// A rollout that does not converge.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct StuckRollout {
    pub(crate) reason: Reason,
    pub(crate) digest: String,
    /// Each attempt is reported separately.
    pub(crate) attempt: u32,
    pub(crate) container: String,
}

#[derive(Debug, Clone, Copy)]
struct OurRollout {
    started: Timestamp,
    /// The workload's generation after the patch.
    generation: i64,
    /// Whether it was reported not to converge.
    stuck: bool,
}

impl Tracker {
    /// The part that an observation of the workload needs.
    pub(crate) fn tracked(&self) -> TrackedRollout {
        TrackedRollout {
            generation: self
                .rollout
                .as_ref()
                .map_or(0, |rollout| rollout.generation),
            unfinished: self.rollout.is_some(),
            since: self.in_flight().map(|flight| flight.since),
        }
    }

    /// The rollout in flight, triggered by us or not.
    pub(crate) fn in_flight(&self) -> Option<Flight> {
        self.in_flight.as_deref().copied()
    }

    /// Since when the workload is known to be outdated.
    pub(crate) const fn outdated(&self) -> Option<Timestamp> {
        self.outdated
    }

    /// The rollout that does not converge.
    pub(crate) fn stuck(&self) -> Option<&StuckRollout> {
        self.stuck.as_deref()
    }

    /// Our patch was applied; `generation` is the workload's generation after it.
    pub(crate) fn triggered(&mut self, generation: i64, now: Timestamp) {
        self.in_flight = Some(Box::new(Flight::started(now)));
        self.rollout = Some(Box::new(OurRollout {
            started: now,
            generation,
            stuck: false,
        }));
    }

    /// Tracks a decision, after the rollout if there was one.
    pub(crate) fn decided(
        &mut self,
        workload: &Workload,
        decision: &Decision,
        observation: &Observation,
        now: Timestamp,
    ) -> Option<Transition> {
        if !self.was_idle && self.rollout.is_none() {
            let adopted = OurRollout::adopted(workload, decision, observation, now);
            self.rollout = adopted.map(Box::new);
        }
        self.was_idle |= !matches!(decision.state, State::RollingOut | State::Unknown);
        let transition = self.follow(decision, observation, now);
        // Without an observation of its tags the workload stays outdated.
        let outdated = decision.stale || (observation.tags.is_none() && self.outdated.is_some());
        self.update_outdated(decision.state, outdated, now);
        match decision.state {
            State::NotConverging => {
                self.stuck = Some(Box::new(StuckRollout::new(decision, observation)));
            }
            State::RollingOut | State::Unknown => {}
            _ => self.stuck = None,
        }
        transition
    }

    /// An annotation of the workload is invalid.
    pub(crate) fn invalid(&mut self, now: Timestamp) {
        self.rollout = None;
        self.stuck = None;
        self.update_outdated(State::InvalidConfiguration, false, now);
    }

    /// The reconcile failed.
    pub(crate) fn failed(&mut self, now: Timestamp) {
        self.update_outdated(State::Unknown, false, now);
    }

    /// Tracks the rollout in flight and the end of our own.
    fn follow(
        &mut self,
        decision: &Decision,
        observation: &Observation,
        now: Timestamp,
    ) -> Option<Transition> {
        if decision.state == State::RollingOut {
            let flight = self
                .in_flight
                .get_or_insert_with(|| Flight::ongoing(now).into());
            if observation.tags.is_some() {
                flight.polled(now);
            }
        } else {
            self.in_flight = None;
        }
        match (decision.state, &mut self.rollout) {
            (State::UpToDate, Some(rollout)) if observation.observed.complete => {
                let took = now.duration_since(rollout.started).unsigned_abs();
                self.rollout = None;
                Some(Transition::Completed(took))
            }
            (State::NotConverging, Some(rollout)) if !rollout.stuck => {
                rollout.stuck = true;
                Some(Transition::NotConverging)
            }
            (state, rollout) => {
                if state == State::Skipped || decision.reason == Some(Reason::RolledBack) {
                    *rollout = None;
                }
                None
            }
        }
    }

    /// Updates since when the workload is outdated: during a rollout it is if the rollout is ours, or if some container is
    /// known to be `outdated`.
    fn update_outdated(&mut self, state: State, outdated: bool, now: Timestamp) {
        let outdated = match state {
            State::Unknown => self.outdated.is_some(),
            State::Outdated | State::Held | State::NotConverging => true,
            State::RollingOut => self.rollout.is_some() || outdated,
            _ => false,
        };
        self.outdated = outdated.then(|| self.outdated.unwrap_or(now));
    }
}

impl StuckRollout {
    /// The rollout that, by this decision, does not converge.
    pub(crate) fn new(decision: &Decision, observation: &Observation) -> Self {
        let container = decision.container.clone().unwrap_or_default();
        let mut containers = observation.observed.containers.iter();
        let decided_by = containers.find(|observed| observed.name == container);
        let tag = decided_by.and_then(|container| container.tag.as_ref().ok());
        Self {
            reason: decision.reason.unwrap_or(Reason::InFlight),
            digest: tag.map(ToString::to_string).unwrap_or_default(),
            attempt: observation.observed.attempts.count(&container),
            container,
        }
    }
}

impl OurRollout {
    /// After a restart, adopts a rollout to the digests that the tags name now. If its pods are all replaced but not all
    /// ready, it is adopted only if it is recent, as a pod can become unready long after a rollout.
    fn adopted(
        workload: &Workload,
        decision: &Decision,
        observation: &Observation,
        now: Timestamp,
    ) -> Option<Self> {
        let observed = &observation.observed;
        let is_to_tag = observed.containers.iter().any(|container| {
            let recorded = observed.record.digest(&container.name);
            recorded.is_some() && recorded == container.tag.as_ref().ok()
        });
        let template = workload.template();
        let restarted_at = template
            .annotation(RESTARTED_AT)
            .or_else(|| template.annotation(KUBECTL_RESTARTED_AT));
        let started: Timestamp = restarted_at?.parse().ok()?;
        let recent = now.duration_since(started).abs() < PROGRESS_DEADLINE;
        let is_running = decision.state == State::RollingOut || (!observed.complete && recent);
        (is_running && is_to_tag).then_some(Self {
            started,
            generation: 0,
            stuck: false,
        })
    }
}
