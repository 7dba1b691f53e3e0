//! Reports what was decided and why: metrics, Events and the log, in the same words.
//!
//! What was already reported of a workload is remembered here and nowhere read: decisions rest on the workload, its pods,
//! its tags, and the record of its rollouts.

mod build;
mod messages;
mod news;
pub(crate) mod recorder;
mod warnings;

use std::{sync::Arc, time::Duration};

use ahash::HashMap;
use jiff::Timestamp;
use kube_autorollout_core::{
    annotations::InvalidAnnotation,
    decide::{Decision, Rollout},
    state::{Reason, State},
};
use parking_lot::Mutex;
use tracing::{debug, info, warn};

pub(crate) use self::messages::has_lost_record;
use self::{
    build::Move,
    news::{Course, Decided},
    recorder::Recorder,
    warnings::{Topic, Warning, Warnings},
};
use crate::{
    error_chain::Chain,
    metrics::{Metrics, Outcome, Reconciled},
    notifications::Notifier,
    observe::{labels::Labels, observation::Observation},
    rollout::{Triggered, tracker::Transition},
    workload::{Template, identity::Identity},
};

/// Reports of the selected workloads, and remembers what was reported of each, so that only news is.
pub(crate) struct Reporter {
    metrics: Arc<Metrics>,
    recorder: Recorder,
    notifier: Arc<Notifier>,
    reported: Mutex<HashMap<Identity, Box<Reported>>>,
}

/// A rollout that the API server refused.
pub(crate) struct RefusedRollout<'a> {
    pub(crate) rollout: &'a Rollout,
    /// That of the workload as it is now, if it is still there.
    pub(crate) template: Option<&'a Template>,
    /// What images say of themselves.
    pub(crate) labels: &'a Labels,
}

/// What was reported of one workload.
#[derive(Debug, Default)]
struct Reported {
    state: Option<State>,
    /// Why it last was reported to wait, if it waits.
    waits: Option<(State, Option<Reason>)>,
    /// What our rollout in flight moves.
    moves: Box<[Move]>,
    course: Course,
    warnings: Warnings,
}

impl Reporter {
    /// Nothing is reported yet.
    pub(crate) fn new(metrics: Arc<Metrics>, recorder: Recorder, notifier: Arc<Notifier>) -> Self {
        Self {
            metrics,
            recorder,
            notifier,
            reported: Mutex::default(),
        }
    }

    /// From now on the workload is reported of; others, whose label has gone meanwhile, are not.
    pub(crate) fn select(&self, identity: &Identity) {
        let mut reported = self.reported.lock();
        reported.insert(identity.clone(), Box::default());
        self.metrics.workloads.select(identity);
    }

    /// The workload is no longer selected, or no longer there.
    pub(crate) fn forget(&self, identity: &Identity) {
        let reported = self.reported.lock().remove(identity);
        if let Some(reported) = reported {
            self.metrics.workloads.moved(identity, reported.state, None);
            self.metrics.workloads.forget(identity);
        }
    }

    /// This replica does not lead any more: what only the leader reports goes, so that sums over replicas are right.
    pub(crate) fn clear(&self) {
        self.reported.lock().clear();
        self.metrics.workloads.clear();
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

    /// The API server took our patch.
    pub(crate) fn triggered(&self, identity: &Identity, triggered: &Triggered, labels: &Labels) {
        self.metrics.workloads.rollout(identity, Outcome::Triggered);
        let moves = build::moves(&triggered.rollout, labels);
        let note = messages::triggered(&moves);
        info!(workload = %identity, "rolled out: {note}");
        let regarding = identity.reference();
        self.recorder
            .publish(recorder::Reason::RolloutTriggered, regarding, &note);
        if let Some(reported) = self.reported.lock().get_mut(identity) {
            reported.moves = moves;
            reported.course.started = Some(triggered.at);
        }
    }

    /// The patch was made so long after a hint.
    pub(crate) fn hinted(&self, after: Duration) {
        self.metrics.hints.patched(after);
    }

    /// Somebody else changed the workload before our patch came.
    pub(crate) fn conflict(&self, identity: &Identity) {
        self.metrics.workloads.rollout(identity, Outcome::Conflict);
        info!(workload = %identity, "the workload was changed meanwhile: deciding again");
    }

    /// The workload was decided upon, and if it had to be rolled out, it was. `outdated` says whether it does not run what
    /// its tags name.
    pub(crate) fn decided(
        &self,
        identity: &Identity,
        decision: &Decision,
        observation: &Observation,
        transition: Option<Transition>,
        outdated: bool,
        now: Timestamp,
    ) {
        let mut all = self.reported.lock();
        let Some(reported) = all.get_mut(identity) else {
            return;
        };
        if let Some(transition) = transition {
            self.transition(reported, identity, transition, observation);
        }
        self.enter(reported, identity, decision.state, outdated);
        let waits = reported.waiting(identity, decision);
        debug!(workload = %identity, state = %decision.state, reason = decision.reason.map(Reason::as_str), "decided");
        if let Some(pinned) = observation.pinned {
            let gone = !observation.gone.is_empty();
            self.metrics.workloads.pinned(identity, pinned, gone);
        }
        let checked = observation
            .tags
            .as_ref()
            .is_some_and(|tags| !tags.is_empty());
        if checked && observation.failures.is_empty() {
            self.metrics.workloads.checked(identity, now);
        }
        let warnings = messages::warnings(decision, observation);
        let warned = self.warn(reported, identity, &warnings, now);
        if !self.notifier.is_idle() {
            let decided = Decided {
                identity,
                decision,
                observation,
                moves: &reported.moves,
                now,
            };
            let notices = reported.course.news(&decided, transition, waits, &warned);
            for notice in notices {
                self.notifier.publish(notice);
            }
        }
        if let Some(Transition::Completed(_)) = transition {
            reported.moves = Box::default();
        }
    }

    /// An annotation of the workload cannot be followed.
    pub(crate) fn invalid(&self, identity: &Identity, error: &InvalidAnnotation, now: Timestamp) {
        let mut all = self.reported.lock();
        let Some(reported) = all.get_mut(identity) else {
            return;
        };
        self.enter(reported, identity, State::InvalidConfiguration, false);
        let note = Chain(error).to_string();
        let warning = Warning {
            topic: Topic::Invalid(note.clone()),
            event: Some(recorder::Reason::InvalidConfiguration),
            note,
        };
        self.warn(reported, identity, &[warning], now);
    }

    /// A reconcile failed, perhaps because the API server `refused` a rollout.
    pub(crate) fn failed(
        &self,
        identity: &Identity,
        error: &dyn std::error::Error,
        refused: Option<&RefusedRollout<'_>>,
        outdated: bool,
        now: Timestamp,
    ) {
        let mut all = self.reported.lock();
        let Some(reported) = all.get_mut(identity) else {
            return;
        };
        self.enter(reported, identity, State::Unknown, outdated);
        if refused.is_some() {
            self.metrics.workloads.rollout(identity, Outcome::Failed);
        }
        let note = Chain(error).to_string();
        let warning = Warning {
            topic: Topic::ApiServer(note.clone()),
            event: refused.map(|_| recorder::Reason::RolloutFailed),
            note: format!("{}: {note}", Reason::ApiServer),
        };
        let warnings = [warning];
        let warned = self.warn(reported, identity, &warnings, now);
        if let Some(refused) = refused.filter(|_| !warned.is_empty()) {
            let RefusedRollout {
                rollout,
                template,
                labels,
            } = *refused;
            let containers = news::containers(&build::moves(rollout, labels), template);
            let course = &mut reported.course;
            let notice = course.refused(identity, containers, &rollout.record, &note, now);
            self.notifier.publish(notice);
        }
    }

    /// How our rollout went on.
    fn transition(
        &self,
        reported: &Reported,
        identity: &Identity,
        transition: Transition,
        observation: &Observation,
    ) {
        let workloads = &self.metrics.workloads;
        match transition {
            Transition::Completed(took) => {
                workloads.rollout(identity, Outcome::Completed);
                workloads.rollout_took(identity, took);
                let moves = &reported.moves;
                let note = format!(
                    "{} after {}",
                    messages::completed(observation, moves),
                    seconds(took)
                );
                info!(workload = %identity, "rollout completed: {note}");
                let regarding = identity.reference();
                self.recorder
                    .publish(recorder::Reason::RolloutCompleted, regarding, &note);
            }
            Transition::NotConverging => workloads.rollout(identity, Outcome::NotConverging),
        }
    }

    /// Shows the state in the metrics.
    fn enter(&self, reported: &mut Reported, identity: &Identity, state: State, outdated: bool) {
        let workloads = &self.metrics.workloads;
        if reported.state != Some(state) {
            workloads.moved(identity, reported.state, Some(state));
            reported.state = Some(state);
        }
        workloads.outdated(identity, outdated);
    }

    /// Reports the warnings that are news; returns those of which Events may be. An Event of one registry stands for others.
    fn warn<'w>(
        &self,
        reported: &mut Reported,
        identity: &Identity,
        warnings: &'w [Warning],
        now: Timestamp,
    ) -> Vec<&'w Warning> {
        let mut news = Vec::new();
        let topics: Vec<_> = warnings
            .iter()
            .map(|warning| warning.topic.clone())
            .collect();
        let open = matches!(reported.state, Some(State::RollingOut | State::Unknown));
        for (warning, channels) in warnings
            .iter()
            .zip(reported.warnings.now(&topics, open, now))
        {
            // The cloud's failure is one for all workloads, and was logged once.
            if channels.log && warning.topic.is_of_the_cloud() {
                debug!(workload = %identity, "{}", warning.note);
            } else if channels.log {
                warn!(workload = %identity, "{}", warning.note);
            }
            let Some(reason) = warning.event else {
                continue;
            };
            if channels.event {
                let regarding = identity.reference();
                self.recorder.publish(reason, regarding, &warning.note);
            }
            if channels.event || channels.log {
                news.push(warning);
            }
        }
        news
    }
}

impl Reported {
    /// Logs why a stale workload is not rolled out now: once, and again when there is another reason. Returns whether it did.
    fn waiting(&mut self, identity: &Identity, decision: &Decision) -> bool {
        let waits = matches!(decision.state, State::Outdated | State::Held)
            .then_some((decision.state, decision.reason));
        let is_news = waits.is_some() && self.waits != waits;
        if is_news {
            info!(workload = %identity, "{}", messages::waits(decision));
        }
        if decision.state != State::Unknown {
            self.waits = waits;
        }
        is_news
    }
}

/// A duration for people.
fn seconds(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}
