//! Waits until the workloads that run an announced image run its new digest, or cannot.

use std::{collections::HashMap, sync::Arc, time::Duration};

use jiff::Timestamp;
use kube_autorollout_core::state::{Reason, State};
use kube_autorollout_hints::Hint;
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::checks::Checks;
use crate::{
    clock,
    lookup::Triggers,
    observe::tags::{Resolution, Tags},
    rollout::state::States,
    workload::identity::Identity,
};

/// Interval of lookups of the workloads' conditions.
const POLL: Duration = Duration::from_millis(200);

/// The response to a sender that waits, written by the controller and read by `kube-autorollout hint`: an image and its
/// workloads.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Report {
    pub(crate) image: String,
    /// The digest that the tag names, if the registry returned it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) digest: Option<String>,
    /// Empty if no workload runs the image.
    pub(crate) workloads: Vec<Row>,
}

/// One workload.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Row {
    pub(crate) namespace: String,
    pub(crate) kind: String,
    pub(crate) name: String,
    pub(crate) state: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<String>,
    /// Whether it was patched after the hint.
    pub(crate) rolled_out: bool,
    /// From the hint until it completed or failed, or until the timeout.
    pub(crate) seconds: u64,
}

/// The result of a wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WaitResult {
    /// Every workload runs the image.
    Completed,
    /// Some workload needs intervention, or none runs the image.
    Failed,
    TimedOut,
    /// This replica no longer leads.
    Interrupted,
}

/// An image that is waited for.
struct AwaitedImage {
    image: Arc<str>,
    /// When all responses of the registry were first seen: later decisions rest on them.
    answered: Option<Timestamp>,
    resolution: Resolution,
    /// The workloads that completed or failed.
    finished: HashMap<Identity, (WaitResult, Row)>,
}

/// Waits until all workloads of the images of these hints, received at `since`, have completed or failed.
pub(super) async fn wait(
    checks: &Checks,
    hints: &[Hint],
    since: Timestamp,
    max_wait: Duration,
) -> (WaitResult, Vec<Report>) {
    let context = &checks.context;
    let wait = Wait {
        tags: &context.sources.tags,
        states: &context.rollouts.states,
        triggers: &context.triggers,
        stop: &context.rollouts.stop,
        since,
        started: Instant::now(),
    };
    let mut unknown = Vec::new();
    let mut awaited = Vec::new();
    for hint in hints {
        let images = checks.images(hint);
        if images.is_empty() {
            unknown.push(Report {
                image: format!("{}/{}", hint.registry, hint.repository),
                digest: None,
                workloads: Vec::new(),
            });
        }
        awaited.extend(images.into_iter().map(AwaitedImage::new));
    }
    let (result, reports) = wait.run(awaited, max_wait).await;
    let result = match result {
        WaitResult::Completed if !unknown.is_empty() => WaitResult::Failed,
        result => result,
    };
    (result, unknown.into_iter().chain(reports).collect())
}

/// A wait of a sender.
struct Wait<'a> {
    tags: &'a Tags,
    states: &'a States,
    triggers: &'a Triggers,
    /// Cancelled at the end of the term.
    stop: &'a CancellationToken,
    /// When the hint was received.
    since: Timestamp,
    started: Instant,
}

impl Wait<'_> {
    /// Waits until all workloads of the images have completed or failed.
    async fn run(
        &self,
        mut awaited: Vec<AwaitedImage>,
        max_wait: Duration,
    ) -> (WaitResult, Vec<Report>) {
        let all = async {
            while !awaited
                .iter_mut()
                .fold(true, |all, image| image.is_finished(self) & all)
            {
                sleep(POLL).await;
            }
        };
        let in_time = timeout(max_wait, self.stop.run_until_cancelled(all)).await;
        let are_complete = !awaited.is_empty() && awaited.iter().all(AwaitedImage::is_complete);
        let result = match in_time {
            Err(_) => WaitResult::TimedOut,
            Ok(None) => WaitResult::Interrupted,
            Ok(Some(())) if are_complete => WaitResult::Completed,
            Ok(Some(())) => WaitResult::Failed,
        };
        let reports = awaited.into_iter().map(|image| image.report(self));
        (result, reports.collect())
    }

    /// The workload's condition, and its result if that rests on the responses that were seen at `answered`.
    fn row(&self, identity: &Identity, answered: Option<Timestamp>) -> (Option<WaitResult>, Row) {
        let last = self
            .states
            .with(&identity.uid, |state| (state.condition, state.patched));
        let (condition, patched) = last.unwrap_or_default();
        let state = condition.map_or(State::Unknown, |condition| condition.state);
        let reason = condition.and_then(|condition| condition.reason);
        let not_before = if requests_tags(state, reason) {
            answered
        } else {
            Some(self.since)
        };
        let times = condition.map(|condition| condition.at).zip(not_before);
        let is_current = times.is_some_and(|(evaluated, not_before)| evaluated >= not_before);
        let row = Row {
            namespace: identity.namespace.to_string(),
            kind: identity.kind.to_owned(),
            name: identity.name.to_string(),
            state: state.to_string(),
            reason: reason.map(|reason| reason.to_string()),
            rolled_out: patched.is_some_and(|at| at >= self.since),
            seconds: self.started.elapsed().as_secs(),
        };
        (result(state, reason).filter(|_| is_current), row)
    }
}

impl AwaitedImage {
    fn new(image: Arc<str>) -> Self {
        Self {
            image,
            answered: None,
            resolution: Resolution::default(),
            finished: HashMap::new(),
        }
    }

    /// Whether every workload has completed or failed.
    fn is_finished(&mut self, wait: &Wait<'_>) -> bool {
        self.resolution = wait.tags.resolution(&self.image, wait.since);
        let Resolution {
            workloads,
            unanswered,
            ..
        } = &self.resolution;
        for identity in workloads {
            if !self.finished.contains_key(identity)
                && let (Some(result), row) = wait.row(identity, self.answered)
            {
                self.finished.insert(identity.clone(), (result, row));
            }
        }
        let is_finished = |identity: &Identity| self.finished.contains_key(identity);
        if !unanswered.iter().all(is_finished) {
            self.answered = None;
        } else if self.answered.is_none() {
            // A reconcile that starts from now on rests on the responses.
            self.answered = Some(clock::now());
            wait.triggers.send(workloads);
        }
        workloads.iter().all(is_finished)
    }

    /// Whether every workload runs the image, which at least one does.
    fn is_complete(&self) -> bool {
        let mut results = self.finished.values();
        !self.finished.is_empty() && results.all(|(result, _)| *result == WaitResult::Completed)
    }

    /// The report of its workloads, unfinished ones last.
    fn report(self, wait: &Wait<'_>) -> Report {
        let workloads = &self.resolution.workloads;
        let unfinished = workloads
            .iter()
            .filter(|identity| !self.finished.contains_key(*identity));
        let unfinished: Vec<_> = unfinished
            .map(|identity| wait.row(identity, None).1)
            .collect();
        let finished = self.finished.into_values().map(|(_, row)| row);
        Report {
            image: self.image.to_string(),
            digest: self.resolution.digest.map(|digest| digest.to_string()),
            workloads: finished.chain(unfinished).collect(),
        }
    }
}

/// Whether the tags of a workload in this state are requested. Otherwise no response of the registry changes its result.
fn requests_tags(state: State, reason: Option<Reason>) -> bool {
    let has_no_pods = state == State::Skipped && reason == Some(Reason::NoPods);
    state != State::Paused && !has_no_pods
}

/// The result for a workload in this state; `None` while it may still change by itself.
fn result(state: State, reason: Option<Reason>) -> Option<WaitResult> {
    match state {
        State::UpToDate => Some(WaitResult::Completed),
        State::RollingOut | State::Outdated => None,
        State::Unknown if reason.is_none_or(Reason::is_transient) => None,
        State::Unknown
        | State::NotConverging
        | State::Held
        | State::Paused
        | State::Skipped
        | State::InvalidConfiguration => Some(WaitResult::Failed),
    }
}

#[cfg(test)]
mod tests;
