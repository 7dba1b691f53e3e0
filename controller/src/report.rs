//! Tells people what was decided and why: metrics, Events and the log, in the same words.

mod notes;
mod warnings;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use kube_autorollout_core::{
    annotations::{InvalidAnnotation, KUBECTL_RESTARTED_AT, RESTARTED_AT},
    backoff::Backoff,
    decide::{Decision, Rollout},
    schedule,
    state::{Reason, State},
};
use tracing::{debug, info, warn};

use self::warnings::{Topic, Warning, Warnings};
use crate::{
    chain::Chain,
    events::{self, Events},
    identity::Identity,
    leadership::Leadership,
    metrics::{Metrics, Outcome, Reconciled},
    observation::Observation,
    workload::Workload,
};

/// Remembers what was told of each workload, so that only news is told.
pub(crate) struct Reports {
    metrics: Arc<Metrics>,
    events: Events,
    leadership: Arc<Leadership>,
    told: Mutex<HashMap<Arc<str>, Told>>,
}

/// What was told of one workload.
#[derive(Debug, Default)]
struct Told {
    state: Option<State>,
    /// Why it was last said to wait, if it waits.
    waits: Option<(State, Option<Reason>)>,
    /// Since when it has not run what its tags name, if it does not.
    outdated: Option<Timestamp>,
    /// Our own rollout, until its pods run what it was for.
    rollout: Option<OurRollout>,
    /// Some decision since the start found no rollout in flight.
    settled: bool,
    /// Since when some rollout has been in flight.
    in_flight: Option<Timestamp>,
    /// Reconciles in a row that ended with an error.
    failures: u32,
    warnings: Warnings,
}

#[derive(Debug, Clone, Copy)]
struct OurRollout {
    since: Timestamp,
    /// The workload's generation after the patch.
    generation: i64,
}

impl Told {
    /// Tells why a stale workload is not rolled out now: once, and again when there is another reason.
    fn waiting(&mut self, identity: &Identity, decision: &Decision) {
        let waits = matches!(decision.state, State::Outdated | State::Held)
            .then_some((decision.state, decision.reason));
        if waits.is_some() && self.waits != waits {
            info!(workload = %identity, "{}", notes::waits(decision));
        }
        if decision.state != State::Unknown {
            self.waits = waits;
        }
    }
}

/// How soon a failed reconcile is tried again, and at the latest.
const RETRY: Backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(60));

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
        self.lock().entry(identity.uid.clone()).or_default();
    }

    /// Whether it was told that the workload does not converge.
    pub(crate) fn is_not_converging(&self, identity: &Identity) -> bool {
        let told = self.lock();
        let state = told.get(&identity.uid).and_then(|told| told.state);
        state == Some(State::NotConverging)
    }

    /// Whether the workload is told of.
    pub(crate) fn is_selected(&self, identity: &Identity) -> bool {
        self.lock().contains_key(&identity.uid)
    }

    /// A reconcile has ended.
    pub(crate) fn reconciled(&self, kind: &'static str, outcome: Reconciled, took: Duration) {
        self.metrics.reconciled(kind, outcome, took);
    }

    /// The generation that the workload reached by our last patch; an object of an earlier one is news from the past.
    pub(crate) fn generation(&self, identity: &Identity) -> i64 {
        let told = self.lock();
        let rollout = told.get(&identity.uid).and_then(|told| told.rollout);
        rollout.map_or(0, |rollout| rollout.generation)
    }

    /// Since when a rollout of the workload has been in flight, ours or another's.
    pub(crate) fn in_flight(&self, identity: &Identity) -> Option<Timestamp> {
        self.lock()
            .get(&identity.uid)
            .and_then(|told| told.in_flight)
    }

    /// Since when the workload has been known not to run what its tags name.
    pub(crate) fn outdated(&self, identity: &Identity) -> Option<Timestamp> {
        self.lock()
            .get(&identity.uid)
            .and_then(|told| told.outdated)
    }

    /// The API server took our patch.
    pub(crate) fn triggered<W: Workload>(
        &self,
        identity: &Identity,
        rollout: &Rollout,
        generation: i64,
        now: Timestamp,
    ) {
        self.metrics.workloads.rollout(identity, Outcome::Triggered);
        let note = notes::triggered(rollout);
        info!(workload = %identity, "rolled out: {note}");
        self.events.publish(
            events::Reason::RolloutTriggered,
            identity.reference::<W>(),
            &note,
        );
        let mut all = self.lock();
        let Some(told) = self.ours(&mut all, identity) else {
            return;
        };
        told.in_flight = Some(now);
        told.rollout = Some(OurRollout {
            since: now,
            generation,
        });
    }

    /// Somebody else changed the workload before our patch came.
    pub(crate) fn conflict(&self, identity: &Identity) {
        self.metrics.workloads.rollout(identity, Outcome::Conflict);
        info!(workload = %identity, "changed by somebody else meanwhile: deciding again");
    }

    /// The workload was decided upon, and if it had to be rolled out, it was.
    pub(crate) fn decided<W: Workload>(
        &self,
        workload: &W,
        identity: &Identity,
        decision: &Decision,
        observation: &Observation,
        now: Timestamp,
    ) {
        let mut all = self.lock();
        let Some(told) = self.ours(&mut all, identity) else {
            return;
        };
        told.failures = 0;
        if !told.settled && told.rollout.is_none() {
            told.rollout = adopted(workload, decision, observation);
        }
        told.settled |= !matches!(decision.state, State::RollingOut | State::Unknown);
        self.follow_through::<W>(told, identity, decision, observation, now);
        self.enter(told, identity, decision.state, now);
        told.waiting(identity, decision);
        debug!(workload = %identity, state = %decision.state, reason = decision.reason.map(Reason::as_str), "decided");
        if !observation.tags.is_empty() && observation.failures.is_empty() {
            self.metrics.workloads.checked(identity, now);
        }
        let warnings = notes::warnings(decision, observation);
        self.warn::<W>(told, identity, &warnings, now);
    }

    /// An annotation of the workload cannot be followed.
    pub(crate) fn invalid<W: Workload>(
        &self,
        identity: &Identity,
        error: &InvalidAnnotation,
        now: Timestamp,
    ) {
        let mut all = self.lock();
        let Some(told) = self.ours(&mut all, identity) else {
            return;
        };
        told.failures = 0;
        told.rollout = None;
        self.enter(told, identity, State::InvalidConfiguration, now);
        let note = Chain(error).to_string();
        let warning = Warning {
            topic: Topic::Invalid(note.clone()),
            event: Some(events::Reason::InvalidConfiguration),
            note,
        };
        self.warn::<W>(told, identity, &[warning], now);
    }

    /// A reconcile failed, perhaps because the API server `refused` a rollout; says when to try again.
    pub(crate) fn failed<W: Workload>(
        &self,
        identity: &Identity,
        error: &dyn std::error::Error,
        refused: bool,
        now: Timestamp,
    ) -> Duration {
        let mut all = self.lock();
        let Some(told) = self.ours(&mut all, identity) else {
            return Duration::ZERO; // it is not reconciled again anyway
        };
        told.failures = told.failures.saturating_add(1);
        self.enter(told, identity, State::Unknown, now);
        if refused {
            self.metrics.workloads.rollout(identity, Outcome::Failed);
        }
        let note = Chain(error).to_string();
        let warning = Warning {
            topic: Topic::ApiServer(note.clone()),
            event: refused.then_some(events::Reason::RolloutFailed),
            note: format!("{}: {note}", Reason::ApiServer),
        };
        self.warn::<W>(told, identity, &[warning], now);
        RETRY.delay(told.failures, schedule::seed(&identity.uid))
    }

    /// The workload is no longer selected, or no longer there.
    pub(crate) fn forget(&self, identity: &Identity) {
        let told = self.lock().remove(&identity.uid);
        if let Some(told) = told {
            self.metrics.workloads.moved(identity, told.state, None);
            self.metrics.workloads.forget(identity);
        }
    }

    /// This replica does not lead any more: what it has told is forgotten, as another tells from here.
    pub(crate) fn silence(&self) {
        let mut all = self.lock();
        for told in all.values_mut() {
            *told = Told::default();
        }
        self.metrics.workloads.clear();
    }

    /// What was told of a workload that is selected, if it is for this replica to tell.
    fn ours<'a>(
        &self,
        all: &'a mut HashMap<Arc<str>, Told>,
        identity: &Identity,
    ) -> Option<&'a mut Told> {
        let told = all.get_mut(&identity.uid);
        told.filter(|_| self.leadership.leads())
    }

    /// Follows our rollout to its end.
    fn follow_through<W: Workload>(
        &self,
        told: &mut Told,
        identity: &Identity,
        decision: &Decision,
        observation: &Observation,
        now: Timestamp,
    ) {
        if decision.state == State::RollingOut {
            told.in_flight.get_or_insert(now);
        } else {
            told.in_flight = None;
        }
        match (decision.state, told.rollout) {
            (State::UpToDate, Some(rollout)) => {
                told.rollout = None;
                let took = now.duration_since(rollout.since).unsigned_abs();
                self.metrics.workloads.rollout(identity, Outcome::Completed);
                self.metrics.workloads.rollout_took(identity, took);
                let note = format!("{} after {}", notes::completed(observation), seconds(took));
                info!(workload = %identity, "rollout completed: {note}");
                self.events.publish(
                    events::Reason::RolloutCompleted,
                    identity.reference::<W>(),
                    &note,
                );
            }
            (State::NotConverging, Some(_)) if told.state != Some(State::NotConverging) => {
                self.metrics
                    .workloads
                    .rollout(identity, Outcome::NotConverging);
            }
            (State::Paused | State::Skipped, _) => told.rollout = None,
            _ => {}
        }
    }

    /// Notes the state, and whether the workload runs what its tags name.
    fn enter(&self, told: &mut Told, identity: &Identity, state: State, now: Timestamp) {
        self.metrics
            .workloads
            .moved(identity, told.state, Some(state));
        told.state = Some(state);
        let outdated = match state {
            State::Unknown => told.outdated.is_some(),
            State::Outdated | State::Held | State::NotConverging => true,
            State::RollingOut => told.rollout.is_some(),
            _ => false,
        };
        told.outdated = outdated.then(|| told.outdated.unwrap_or(now));
        self.metrics.workloads.outdated(identity, outdated);
    }

    /// Tells the warnings that are news.
    fn warn<W: Workload>(
        &self,
        told: &mut Told,
        identity: &Identity,
        warnings: &[Warning],
        now: Timestamp,
    ) {
        let topics: Vec<_> = warnings
            .iter()
            .map(|warning| warning.topic.clone())
            .collect();
        for (warning, tell) in warnings.iter().zip(told.warnings.now(&topics, now)) {
            if tell.log {
                warn!(workload = %identity, "{}", warning.note);
            }
            if let Some(reason) = warning.event.filter(|_| tell.event) {
                self.events
                    .publish(reason, identity.reference::<W>(), &warning.note);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Arc<str>, Told>> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// After a restart a rollout that is in flight, to what the tags name now, is taken for ours.
fn adopted<W: Workload>(
    workload: &W,
    decision: &Decision,
    observation: &Observation,
) -> Option<OurRollout> {
    let observed = &observation.observed;
    let to_the_tag = observed.containers.iter().any(|container| {
        let recorded = observed.record.digest(&container.name);
        recorded.is_some() && recorded == container.tag.as_ref().ok()
    });
    let template = workload.template();
    let restarted_at = template
        .annotation(RESTARTED_AT)
        .or_else(|| template.annotation(KUBECTL_RESTARTED_AT));
    let since = restarted_at?.parse().ok()?;
    (decision.state == State::RollingOut && to_the_tag).then_some(OurRollout {
        since,
        generation: 0,
    })
}

/// A duration for people.
fn seconds(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}
