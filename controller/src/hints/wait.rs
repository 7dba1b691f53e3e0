//! Waits until the workloads that run an announced image have come to an end.

use std::{collections::HashSet, time::Duration};

use jiff::Timestamp;
use kube_autorollout_core::state::{Reason, State};
use kube_autorollout_hints::Hint;
use serde::Serialize;
use tokio::time::{Instant, sleep, timeout_at};

use super::checks::Checks;
use crate::{clock, observe::tags::Answer, rollout::state::Decided, workload::identity::Identity};

/// How often is looked up what no decision shows: that a registry has answered.
const POLL: Duration = Duration::from_millis(200);

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// Every workload runs the image.
    Done,
    /// Some workload does not and will not without somebody, or none runs the image.
    Failed,
    /// Time is out.
    TimedOut,
}

/// The workloads of an image.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Report {
    image: Box<str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<String>,
    workloads: Vec<Row>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    namespace: Box<str>,
    kind: &'static str,
    name: Box<str>,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    rolled_out: bool,
    seconds: u64,
    #[serde(skip)]
    end: Option<End>,
}

/// An image that is waited for.
struct Awaited {
    report: Report,
    /// When the answer was seen first that later decisions rest on.
    answered: Option<Timestamp>,
    /// Whose end is known, in the order in which it came.
    ended: HashSet<Identity>,
}

/// Waits until all workloads of the images of these hints, which came at `since`, have come to an end.
pub(super) async fn wait(
    checks: &Checks,
    hints: &[Hint],
    since: Timestamp,
    longest: Duration,
) -> (End, Vec<Report>) {
    let mut awaited = Vec::new();
    let mut reports = Vec::new();
    for hint in hints {
        let images = checks.images(hint);
        if images.is_empty() {
            reports.push(Report::of_nobody(hint));
        }
        awaited.extend(images.iter().map(|image| Awaited::new(image)));
    }
    let begun = Instant::now();
    let all = async {
        loop {
            let changed = checks.context().rollouts.states.changed();
            let all = awaited.iter_mut();
            let ended = all.fold(true, |ended, image| {
                image.is_ended(checks, since, begun) & ended
            });
            if ended {
                return;
            }
            tokio::select! {
                () = changed => {}
                () = sleep(POLL) => {}
            }
        }
    };
    let stop = &checks.context().rollouts.stop;
    let in_time = timeout_at(begun + longest, stop.run_until_cancelled(all)).await;
    reports.extend(awaited.into_iter().map(|image| image.report));
    let mut all = reports.iter();
    let end = if !matches!(in_time, Ok(Some(()))) {
        End::TimedOut
    } else if !reports.is_empty() && all.all(Report::is_done) {
        End::Done
    } else {
        End::Failed
    };
    (end, reports)
}

impl Report {
    /// An image that no workload runs.
    fn of_nobody(hint: &Hint) -> Self {
        let image = format!("{}/{}", hint.registry, hint.repository);
        Self {
            image: image.into(),
            digest: None,
            workloads: Vec::new(),
        }
    }

    fn is_done(&self) -> bool {
        let mut rows = self.workloads.iter();
        !self.workloads.is_empty() && rows.all(|row| row.end == Some(End::Done))
    }
}

impl Awaited {
    fn new(image: &str) -> Self {
        Self {
            report: Report {
                image: image.into(),
                digest: None,
                workloads: Vec::new(),
            },
            answered: None,
            ended: HashSet::new(),
        }
    }

    /// Brings the report up to date; returns whether every workload has come to an end.
    fn is_ended(&mut self, checks: &Checks, since: Timestamp, begun: Instant) -> bool {
        let context = checks.context();
        let Some(Answer { digest, workloads }) =
            context.sources.tags.answer(&self.report.image, since)
        else {
            return false;
        };
        let answered = *self.answered.get_or_insert_with(|| {
            // A decision that begins from now on rests on the answer.
            context.triggers.send(&workloads);
            clock::now()
        });
        self.report.digest = digest.map(|digest| digest.to_string());
        let mut all_ended = true;
        for identity in &workloads {
            if self.ended.contains(identity) {
                continue;
            }
            let (decided, patched) = context
                .rollouts
                .states
                .last(&identity.uid)
                .unwrap_or_default();
            let row = Row::of(
                identity,
                decided,
                patched.is_some_and(|at| at >= since),
                begun,
            );
            let known = decided.is_some_and(|decided| decided.at >= answered);
            let rows = &mut self.report.workloads;
            rows.retain(|row| !row.is_of(identity));
            if known && row.end.is_some() {
                self.ended.insert(identity.clone());
            } else {
                all_ended = false;
            }
            rows.push(row);
        }
        all_ended
    }
}

impl Row {
    fn of(identity: &Identity, decided: Option<Decided>, rolled_out: bool, begun: Instant) -> Self {
        let state = decided.map_or(State::Unknown, |decided| decided.state);
        let reason = decided.and_then(|decided| decided.reason);
        Self {
            namespace: (*identity.namespace).into(),
            kind: identity.kind,
            name: identity.name.clone(),
            state: state.as_str(),
            reason: reason.map(Reason::as_str),
            rolled_out,
            seconds: begun.elapsed().as_secs(),
            end: end(state, reason),
        }
    }

    fn is_of(&self, identity: &Identity) -> bool {
        self.kind == identity.kind
            && *self.namespace == *identity.namespace
            && self.name == identity.name
    }
}

/// Whether a workload in this state has come to an end, and to which.
fn end(state: State, reason: Option<Reason>) -> Option<End> {
    match state {
        State::UpToDate => Some(End::Done),
        State::RollingOut | State::Outdated => None,
        State::Unknown if reason.is_none_or(Reason::is_transient) => None,
        State::Unknown
        | State::NotConverging
        | State::Held
        | State::Paused
        | State::Skipped
        | State::InvalidConfiguration => Some(End::Failed),
    }
}
