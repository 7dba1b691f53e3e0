//! Tells people what was decided and why: metrics, Events and the log, in the same words.

mod messages;
pub(crate) mod recorder;
mod told;
mod warnings;

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use kube_autorollout_core::{
    annotations::InvalidAnnotation,
    decide::{Decision, Rollout},
    state::{Reason, State},
};
use tracing::{debug, info, warn};

pub(crate) use self::told::{Flight, Followed};
use self::{
    recorder::Events,
    told::{OurRollout, Told},
    warnings::{Topic, Warning},
};
use crate::{
    error_chain::Chain,
    leader_election::leadership::Leadership,
    metrics::{Metrics, Outcome, Reconciled},
    observe::observation::Observation,
    workload::Workload,
    workload::identity::Identity,
};

/// Remembers what was told of each workload, so that only news is told.
pub(crate) struct Reports {
    metrics: Arc<Metrics>,
    events: Events,
    leadership: Arc<Leadership>,
    told: Mutex<HashMap<Identity, Box<Told>>>,
}

impl Reports {
    /// Nothing told yet.
    pub(crate) fn new(metrics: Arc<Metrics>, events: Events, leadership: Arc<Leadership>) -> Self {
        Self {
            metrics,
            events,
            leadership,
            told: Mutex::default(),
        }
    }

    /// From now on the workload is told of; what is decided of others, whose label has gone meanwhile, is not.
    pub(crate) fn select(&self, identity: &Identity) {
        let mut all = self.lock();
        if let Entry::Vacant(entry) = all.entry(identity.clone()) {
            entry.insert(Box::default());
            self.metrics.workloads.select(identity);
        }
    }

    /// Whether it was told that the workload does not converge.
    pub(crate) fn is_not_converging(&self, identity: &Identity) -> bool {
        let told = self.lock();
        let state = told.get(identity).and_then(|told| told.state);
        state == Some(State::NotConverging)
    }

    /// Whether it is about to be told that a workload does not converge which has lost our record: once it was told, it
    /// is not worth a request any more who took the record away.
    pub(crate) fn will_miss_the_record(
        &self,
        identity: &Identity,
        decision: &Decision,
        observation: &Observation,
    ) -> bool {
        if decision.state != State::NotConverging
            || !messages::has_lost_record(decision, observation)
        {
            return false;
        }
        let topic = messages::stuck_topic(decision, observation);
        let told = self.lock();
        let told = told.get(identity);
        told.is_some_and(|told| !told.warnings.stands(&topic))
    }

    /// Whether the workload of this UID is told of.
    pub(crate) fn is_selected(&self, uid: &str) -> bool {
        self.lock().contains_key(uid)
    }

    /// Drops series of what is not there any more.
    pub(crate) fn tidy(&self) {
        self.metrics.registries.tidy();
    }

    /// A kind is watched from now on.
    pub(crate) fn watching(&self, kind: &'static str) {
        self.metrics.watching(kind);
    }

    /// The watch of a kind was interrupted.
    pub(crate) fn watch_failed(&self, kind: &'static str) {
        self.metrics.watch_error(kind);
    }

    /// A reconcile has ended.
    pub(crate) fn reconciled(&self, kind: &'static str, outcome: Reconciled, took: Duration) {
        self.metrics.reconciled(kind, outcome, took);
    }

    /// What is remembered of the workload's rollout.
    pub(crate) fn followed(&self, identity: &Identity) -> Followed {
        let told = self.lock();
        told.get(identity)
            .map(|told| told.followed())
            .unwrap_or_default()
    }

    /// The rollout of the workload that is in flight, ours or another's.
    pub(crate) fn in_flight(&self, identity: &Identity) -> Option<Flight> {
        self.lock().get(identity).and_then(|told| told.in_flight)
    }

    /// Since when the workload has been known not to run what its tags name.
    pub(crate) fn outdated(&self, identity: &Identity) -> Option<Timestamp> {
        self.lock().get(identity).and_then(|told| told.outdated)
    }

    /// The API server took our patch.
    pub(crate) fn triggered(
        &self,
        identity: &Identity,
        rollout: &Rollout,
        generation: i64,
        now: Timestamp,
    ) {
        self.metrics.workloads.rollout(identity, Outcome::Triggered);
        let note = messages::triggered(rollout);
        info!(workload = %identity, "rolled out: {note}");
        self.events.publish(
            recorder::Reason::RolloutTriggered,
            identity.reference(),
            &note,
        );
        let mut all = self.lock();
        let Some(told) = self.ours(&mut all, identity) else {
            return;
        };
        told.in_flight = Some(Flight::begun(now));
        told.rollout = Some(OurRollout {
            since: now,
            generation,
            stuck: false,
        });
    }

    /// Somebody else changed the workload before our patch came.
    pub(crate) fn conflict(&self, identity: &Identity) {
        self.metrics.workloads.rollout(identity, Outcome::Conflict);
        info!(workload = %identity, "changed by somebody else meanwhile: deciding again");
    }

    /// The workload was decided upon, and if it had to be rolled out, it was.
    pub(crate) fn decided(
        &self,
        workload: &Workload,
        identity: &Identity,
        decision: &Decision,
        observation: &Observation,
        now: Timestamp,
    ) {
        let mut all = self.lock();
        let Some(told) = self.ours(&mut all, identity) else {
            return;
        };
        if !told.settled && told.rollout.is_none() {
            told.rollout = OurRollout::adopted(workload, decision, observation, now);
        }
        told.settled |= !matches!(decision.state, State::RollingOut | State::Unknown);
        self.follow_through(told, identity, decision, observation, now);
        // Where its tags were not looked at, what was known of them holds.
        let outdated = decision.stale || (observation.tags.is_none() && told.outdated.is_some());
        self.enter(told, identity, decision.state, outdated, now);
        told.waiting(identity, decision);
        debug!(workload = %identity, state = %decision.state, reason = decision.reason.map(Reason::as_str), "decided");
        let checked = observation
            .tags
            .as_ref()
            .is_some_and(|tags| !tags.is_empty());
        if checked && observation.failures.is_empty() {
            self.metrics.workloads.checked(identity, now);
        }
        let warnings = messages::warnings(decision, observation);
        self.warn(told, identity, &warnings, now);
    }

    /// An annotation of the workload cannot be followed.
    pub(crate) fn invalid(&self, identity: &Identity, error: &InvalidAnnotation, now: Timestamp) {
        let mut all = self.lock();
        let Some(told) = self.ours(&mut all, identity) else {
            return;
        };
        told.rollout = None;
        self.enter(told, identity, State::InvalidConfiguration, false, now);
        let note = Chain(error).to_string();
        let warning = Warning {
            topic: Topic::Invalid(note.clone()),
            event: Some(recorder::Reason::InvalidConfiguration),
            note,
        };
        self.warn(told, identity, &[warning], now);
    }

    /// A reconcile failed, perhaps because the API server `refused` a rollout; says whether this is still our affair.
    pub(crate) fn failed(
        &self,
        identity: &Identity,
        error: &dyn std::error::Error,
        refused: bool,
        now: Timestamp,
    ) -> bool {
        let mut all = self.lock();
        let Some(told) = self.ours(&mut all, identity) else {
            return false;
        };
        self.enter(told, identity, State::Unknown, false, now);
        if refused {
            self.metrics.workloads.rollout(identity, Outcome::Failed);
        }
        let note = Chain(error).to_string();
        let warning = Warning {
            topic: Topic::ApiServer(note.clone()),
            event: refused.then_some(recorder::Reason::RolloutFailed),
            note: format!("{}: {note}", Reason::ApiServer),
        };
        self.warn(told, identity, &[warning], now);
        true
    }

    /// The workload is no longer selected, or no longer there.
    pub(crate) fn forget(&self, identity: &Identity) {
        let told = self.lock().remove(identity);
        if let Some(told) = told {
            self.metrics.workloads.moved(identity, told.state, None);
            self.metrics.workloads.forget(identity);
        }
    }

    /// This replica does not lead any more: what it has told is forgotten, as another tells from here.
    pub(crate) fn silence(&self) {
        let mut all = self.lock();
        for told in all.values_mut() {
            **told = Told::default();
        }
        self.metrics.workloads.clear();
    }

    /// What was told of a workload that is selected, if it is for this replica to tell.
    fn ours<'a>(
        &self,
        all: &'a mut HashMap<Identity, Box<Told>>,
        identity: &Identity,
    ) -> Option<&'a mut Told> {
        let told = all.get_mut(identity);
        told.filter(|_| self.leadership.leads()).map(Box::as_mut)
    }

    /// Follows our rollout to its end.
    fn follow_through(
        &self,
        told: &mut Told,
        identity: &Identity,
        decision: &Decision,
        observation: &Observation,
        now: Timestamp,
    ) {
        if decision.state == State::RollingOut {
            let flight = told.in_flight.get_or_insert_with(|| Flight::found(now));
            if observation.tags.is_some() {
                flight.looked(now);
            }
        } else {
            told.in_flight = None;
        }
        match (decision.state, &mut told.rollout) {
            (State::UpToDate, Some(rollout)) if observation.observed.complete => {
                let took = now.duration_since(rollout.since).unsigned_abs();
                told.rollout = None;
                self.metrics.workloads.rollout(identity, Outcome::Completed);
                self.metrics.workloads.rollout_took(identity, took);
                let note = format!(
                    "{} after {}",
                    messages::completed(observation),
                    seconds(took)
                );
                info!(workload = %identity, "rollout completed: {note}");
                self.events.publish(
                    recorder::Reason::RolloutCompleted,
                    identity.reference(),
                    &note,
                );
            }
            (State::NotConverging, Some(rollout)) if !rollout.stuck => {
                rollout.stuck = true;
                self.metrics
                    .workloads
                    .rollout(identity, Outcome::NotConverging);
            }
            (State::Skipped, _) => told.rollout = None,
            _ => {}
        }
    }

    /// Notes the state, and whether the workload runs what its tags name: while a rollout is in flight it does not if that
    /// is ours, or if some container is known to be `outdated`.
    fn enter(
        &self,
        told: &mut Told,
        identity: &Identity,
        state: State,
        outdated: bool,
        now: Timestamp,
    ) {
        if told.state != Some(state) {
            self.metrics
                .workloads
                .moved(identity, told.state, Some(state));
            told.state = Some(state);
        }
        let outdated = match state {
            State::Unknown => told.outdated.is_some(),
            State::Outdated | State::Held | State::NotConverging => true,
            State::RollingOut => told.rollout.is_some() || outdated,
            _ => false,
        };
        told.outdated = outdated.then(|| told.outdated.unwrap_or(now));
        self.metrics.workloads.outdated(identity, outdated);
    }

    /// Tells the warnings that are news.
    fn warn(&self, told: &mut Told, identity: &Identity, warnings: &[Warning], now: Timestamp) {
        let topics: Vec<_> = warnings
            .iter()
            .map(|warning| warning.topic.clone())
            .collect();
        let open = matches!(told.state, Some(State::RollingOut | State::Unknown));
        for (warning, tell) in warnings.iter().zip(told.warnings.now(&topics, open, now)) {
            if tell.log {
                warn!(workload = %identity, "{}", warning.note);
            }
            if let Some(reason) = warning.event.filter(|_| tell.event) {
                self.events
                    .publish(reason, identity.reference(), &warning.note);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Identity, Box<Told>>> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A duration for people.
fn seconds(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}
