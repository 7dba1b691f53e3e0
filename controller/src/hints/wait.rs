//! Waits until the workloads that run an announced image run its new digest, or cannot.

use std::{collections::HashMap, sync::Arc, time::Duration};

use jiff::Timestamp;
use kube_autorollout_core::state::{Reason, State};
use kube_autorollout_hints::Hint;
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep, timeout_at};

use super::checks::Checks;
use crate::{clock, controller::Context, observe::tags::Resolution, workload::identity::Identity};

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
}

/// An image that is waited for.
struct AwaitedImage {
    image: Arc<str>,
    /// When the registry's response was first seen: later decisions rest on it.
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
    let started = Instant::now();
    let wait = Wait {
        context: &checks.context,
        since,
        started,
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
    let all = async {
        while !awaited
            .iter_mut()
            .fold(true, |all, image| image.is_finished(&wait) & all)
        {
            sleep(POLL).await;
        }
    };
    let stop = &checks.context.rollouts.stop;
    let in_time = timeout_at(started + max_wait, stop.run_until_cancelled(all)).await;
    let is_complete = |image: &AwaitedImage| {
        let mut results = image.finished.values();
        !image.finished.is_empty() && results.all(|(result, _)| *result == WaitResult::Completed)
    };
    let result = if !matches!(in_time, Ok(Some(()))) {
        WaitResult::TimedOut
    } else if unknown.is_empty() && !awaited.is_empty() && awaited.iter().all(is_complete) {
        WaitResult::Completed
    } else {
        WaitResult::Failed
    };
    let known = awaited.into_iter().map(|image| image.report(&wait));
    (result, unknown.into_iter().chain(known).collect())
}

/// A wait of a sender.
struct Wait<'a> {
    context: &'a Context,
    /// When the hint was received.
    since: Timestamp,
    started: Instant,
}

impl Wait<'_> {
    /// The workload's condition, and its result if it was evaluated after `answered`.
    fn row(&self, identity: &Identity, answered: Option<Timestamp>) -> (Option<WaitResult>, Row) {
        let states = &self.context.rollouts.states;
        let last = states.with(&identity.uid, |state| (state.condition, state.patched));
        let (condition, patched) = last.unwrap_or_default();
        let state = condition.map_or(State::Unknown, |condition| condition.state);
        let reason = condition.and_then(|condition| condition.reason);
        let times = condition.map(|condition| condition.at).zip(answered);
        let is_current = times.is_some_and(|(evaluated, answered)| evaluated >= answered);
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
        let context = wait.context;
        let Some(resolution) = context.sources.tags.resolution(&self.image, wait.since) else {
            return false;
        };
        self.resolution = resolution;
        let answered = *self.answered.get_or_insert_with(|| {
            // A reconcile that starts from now on rests on the response.
            context.triggers.send(&self.resolution.workloads);
            clock::now()
        });
        for identity in &self.resolution.workloads {
            if !self.finished.contains_key(identity)
                && let (Some(result), row) = wait.row(identity, Some(answered))
            {
                self.finished.insert(identity.clone(), (result, row));
            }
        }
        let mut workloads = self.resolution.workloads.iter();
        workloads.all(|identity| self.finished.contains_key(identity))
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
