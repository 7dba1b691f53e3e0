//! Reports decisions and their reasons as metrics, Events and log lines, in the same words.
//!
//! What was already reported of a workload is kept only here: decisions never rest on it.

mod image_change;
mod messages;
mod notices;
pub(crate) mod recorder;
mod warnings;

use std::sync::Arc;

use ahash::HashMap;
use jiff::Timestamp;
use kube_autorollout_core::{
    Digest,
    annotations::InvalidAnnotation,
    decide::{Decision, Rollout},
    state::{Reason, State},
};
use parking_lot::Mutex;
use tracing::{debug, info, warn};

pub(crate) use self::messages::has_lost_record;
use self::{
    image_change::ImageChange,
    notices::{DecidedWorkload, NoticeState},
    recorder::Recorder,
    warnings::{Extent, Topic, Warning, Warnings},
};
use crate::{
    error_chain::Chain,
    metrics::{Metrics, RolloutOutcome},
    notifications::Notifier,
    observe::{labels::Labels, observation::Observation},
    rollout::{Triggered, tracker::Transition},
    workload::{Template, identity::Identity},
};

/// Reports on the selected workloads, and keeps what was reported of each to report only changes.
pub(crate) struct Reporter {
    pub(crate) metrics: Arc<Metrics>,
    recorder: Recorder,
    notifier: Arc<Notifier>,
    reported: Mutex<HashMap<Identity, Box<Reported>>>,
}

/// A rollout that the API server refused.
pub(crate) struct RefusedRollout<'a> {
    pub(crate) rollout: &'a Rollout,
    /// The workload's current pod template, if it still exists.
    pub(crate) template: Option<&'a Template>,
    /// The labels of images.
    pub(crate) labels: &'a Labels,
}

/// What was reported of one workload.
#[derive(Debug, Default)]
struct Reported {
    state: Option<State>,
    /// The delay of its rollout that was reported last, with the digest that it delays.
    delay: Option<(State, Option<Reason>, Option<Digest>)>,
    /// The changes of our rollout in flight.
    changes: Box<[ImageChange]>,
    notices: NoticeState,
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

    /// Starts to report on a workload. Reports on workloads that are not selected are ignored.
    pub(crate) fn select(&self, identity: &Identity) {
        let mut reported = self.reported.lock();
        reported.insert(identity.clone(), Box::default());
        self.metrics.workloads.select(identity);
    }

    /// The workload is no longer selected.
    pub(crate) fn forget(&self, identity: &Identity) {
        let reported = self.reported.lock().remove(identity);
        if let Some(reported) = reported {
            let workloads = &self.metrics.workloads;
            workloads.transition(identity, reported.state, None);
            workloads.forget(identity);
        }
    }

    /// This replica no longer leads: clears the series that only the leader reports, so that sums over replicas are correct.
    pub(crate) fn clear(&self) {
        self.reported.lock().clear();
        self.metrics.workloads.clear();
    }

    /// A rollout was triggered: the API server applied our patch.
    pub(crate) fn triggered(&self, identity: &Identity, triggered: &Triggered, labels: &Labels) {
        let workloads = &self.metrics.workloads;
        workloads.rollout(identity, RolloutOutcome::Triggered);
        let changes = image_change::changes(&triggered.rollout, labels);
        let note = messages::triggered(&changes);
        info!(workload = %identity, "rolled out: {note}");
        let reason = recorder::Reason::RolloutTriggered;
        self.recorder.publish(reason, identity.reference(), &note);
        if let Some(reported) = self.reported.lock().get_mut(identity) {
            reported.changes = changes;
            reported.notices.started = Some(triggered.at);
        }
    }

    /// The workload was changed concurrently, so that our patch was refused.
    pub(crate) fn conflict(&self, identity: &Identity) {
        let workloads = &self.metrics.workloads;
        workloads.rollout(identity, RolloutOutcome::Conflict);
        info!(workload = %identity, "conflict: the workload was changed concurrently and is evaluated again");
    }

    /// Reports a decision, after the rollout if there was one. `outdated` is whether the workload runs another image than its
    /// tags name.
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
        self.update_state(reported, identity, decision.state, outdated);
        let is_newly_delayed = reported.log_delay(identity, decision, observation);
        debug!(workload = %identity, state = %decision.state, reason = decision.reason.map(Reason::as_str), "decided");
        self.update_gauges(identity, decision, observation, now);
        let warnings = messages::warnings(decision, observation);
        let extent = match observation.tags {
            Some(_) => Extent::Containers {
                rolling_out: matches!(decision.state, State::RollingOut | State::Unknown),
            },
            None => Extent::Object,
        };
        let warned = self.warn(reported, identity, (&warnings, extent), now);
        if !self.notifier.has_no_sinks() {
            let decided = DecidedWorkload {
                identity,
                decision,
                observation,
                changes: &reported.changes,
                now,
            };
            let state = &mut reported.notices;
            for notice in state.notices(&decided, transition, is_newly_delayed, &warned) {
                self.notifier.publish(notice);
            }
        }
        if let Some(Transition::Completed(_)) = transition {
            reported.changes = Box::default();
        }
    }

    /// An annotation of the workload is invalid.
    pub(crate) fn invalid(&self, identity: &Identity, error: &InvalidAnnotation, now: Timestamp) {
        let mut all = self.reported.lock();
        let Some(reported) = all.get_mut(identity) else {
            return;
        };
        self.update_state(reported, identity, State::InvalidConfiguration, false);
        let gauges = &self.metrics.workloads.gauges;
        gauges.update(identity, |gauges| gauges.checked(None));
        let note = Chain(error).to_string();
        let warning = Warning {
            topic: Topic::Invalid(note.clone()),
            event: Some(recorder::Reason::InvalidConfiguration),
            note,
        };
        self.warn(reported, identity, (&[warning], Extent::Annotations), now);
    }

    /// A reconcile failed; `refused` is the rollout that the API server refused, if that is the reason.
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
        self.update_state(reported, identity, State::Unknown, outdated);
        if refused.is_some() {
            let workloads = &self.metrics.workloads;
            workloads.rollout(identity, RolloutOutcome::Failed);
        }
        let note = Chain(error).to_string();
        let warning = Warning {
            topic: Topic::ApiServer(note.clone()),
            event: refused.map(|_| recorder::Reason::RolloutFailed),
            note: format!("{}: {note}", Reason::ApiServer),
        };
        let warnings = [warning];
        let warned = self.warn(reported, identity, (&warnings, Extent::Annotations), now);
        if let Some(refused) = refused.filter(|_| !warned.is_empty()) {
            let changes = image_change::changes(refused.rollout, refused.labels);
            let containers = notices::containers(&changes, refused.template);
            let state = &mut reported.notices;
            let record = &refused.rollout.record;
            let notice = state.refused(identity, containers, record, &note, now);
            self.notifier.publish(notice);
        }
    }

    /// Reports a transition of our rollout.
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
                workloads.rollout(identity, RolloutOutcome::Completed);
                workloads.rollout_took(identity, took);
                let versions = messages::completed(observation, &reported.changes);
                let note = format!("{versions} after {:.1} s", took.as_secs_f64());
                info!(workload = %identity, "rollout completed: {note}");
                let reason = recorder::Reason::RolloutCompleted;
                self.recorder.publish(reason, identity.reference(), &note);
            }
            Transition::NotConverging => workloads.rollout(identity, RolloutOutcome::NotConverging),
        }
    }

    /// Updates the state in the metrics.
    fn update_state(
        &self,
        reported: &mut Reported,
        identity: &Identity,
        state: State,
        outdated: bool,
    ) {
        let workloads = &self.metrics.workloads;
        if reported.state != Some(state) {
            workloads.transition(identity, reported.state, Some(state));
            reported.state = Some(state);
        }
        workloads
            .gauges
            .update(identity, |gauges| gauges.outdated(outdated));
    }

    /// Updates the gauges of what was observed.
    fn update_gauges(
        &self,
        identity: &Identity,
        decision: &Decision,
        observation: &Observation,
        now: Timestamp,
    ) {
        let tags = observation.tags.as_deref().unwrap_or_default();
        self.metrics.workloads.gauges.update(identity, |gauges| {
            if observation.tags.is_some() {
                let gone = !observation.gone.is_empty();
                gauges.pinned(observation.pinned.map(|pinned| (pinned, gone)));
            }
            if tags.is_empty() && matches!(decision.state, State::Paused | State::Skipped) {
                gauges.checked(None);
            } else if !tags.is_empty() && observation.failures.is_empty() {
                gauges.checked(Some(now));
            }
        });
    }

    /// Logs new warnings and publishes their Events; returns those that were reported and have an Event reason.
    fn warn<'w>(
        &self,
        reported: &mut Reported,
        identity: &Identity,
        (warnings, extent): (&'w [Warning], Extent),
        now: Timestamp,
    ) -> Vec<&'w Warning> {
        let mut reported_now = Vec::new();
        let topics: Vec<_> = warnings
            .iter()
            .map(|warning| warning.topic.clone())
            .collect();
        let channels = reported.warnings.update(&topics, extent, now);
        for (warning, channels) in warnings.iter().zip(channels) {
            // A failure of the cloud concerns all workloads, and was logged once.
            if channels.log && warning.topic.is_cloud_failure() {
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
                reported_now.push(warning);
            }
        }
        reported_now
    }
}

impl Reported {
    /// Logs why the rollout of an outdated workload is delayed, once for each reason and digest; returns whether it did.
    fn log_delay(
        &mut self,
        identity: &Identity,
        decision: &Decision,
        observation: &Observation,
    ) -> bool {
        let is_delayed = matches!(decision.state, State::Outdated | State::Held);
        let delay = is_delayed.then(|| {
            let delayed = messages::deciding_container(decision, observation);
            let digest = delayed.and_then(|container| container.tag.clone().ok());
            (decision.state, decision.reason, digest)
        });
        let is_new = delay.is_some() && self.delay != delay;
        if is_new {
            info!(workload = %identity, "{}", messages::delayed(decision));
        }
        if decision.state != State::Unknown {
            self.delay = delay;
        }
        is_new
    }
}
