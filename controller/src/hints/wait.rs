//! Waits until the workloads that run an announced image have come to an end.

use std::{collections::HashMap, sync::Arc, time::Duration};

use jiff::Timestamp;
use kube_autorollout_core::state::{Reason, State};
use kube_autorollout_hints::Hint;
use tokio::time::{Instant, sleep, timeout_at};

use super::{
    checks::Checks,
    report::{Report, Row},
};
use crate::{clock, controller::Context, observe::tags::Resolution, workload::identity::Identity};

/// How often is looked up where the workloads stand.
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

/// An image that is waited for.
struct Awaited {
    image: Arc<str>,
    /// When the answer of the registry was seen first that later decisions rest on.
    answered: Option<Timestamp>,
    answer: Resolution,
    /// The workloads whose end is known.
    ended: HashMap<Identity, (End, Row)>,
}

/// Waits until all workloads of the images of these hints, which came at `since`, have come to an end.
pub(super) async fn wait(
    checks: &Checks,
    hints: &[Hint],
    since: Timestamp,
    longest: Duration,
) -> (End, Vec<Report>) {
    let begun = Instant::now();
    let watch = Watch {
        context: checks.context(),
        since,
        begun,
    };
    let mut nobody = Vec::new();
    let mut awaited = Vec::new();
    for hint in hints {
        let images = checks.images(hint);
        if images.is_empty() {
            nobody.push(Report {
                image: format!("{}/{}", hint.registry, hint.repository),
                digest: None,
                workloads: Vec::new(),
            });
        }
        awaited.extend(images.into_iter().map(Awaited::new));
    }
    let all = async {
        while !awaited
            .iter_mut()
            .fold(true, |all, one| one.has_ended(&watch) & all)
        {
            sleep(POLL).await;
        }
    };
    let stop = &checks.context().rollouts.stop;
    let in_time = timeout_at(begun + longest, stop.run_until_cancelled(all)).await;
    let is_done = |image: &Awaited| {
        let mut ends = image.ended.values();
        !image.ended.is_empty() && ends.all(|(end, _)| *end == End::Done)
    };
    let end = if !matches!(in_time, Ok(Some(()))) {
        End::TimedOut
    } else if nobody.is_empty() && !awaited.is_empty() && awaited.iter().all(is_done) {
        End::Done
    } else {
        End::Failed
    };
    let known = awaited.into_iter().map(|image| image.report(&watch));
    (end, nobody.into_iter().chain(known).collect())
}

/// What a wait observes.
struct Watch<'a> {
    context: &'a Context,
    /// When the hint came.
    since: Timestamp,
    begun: Instant,
}

impl Watch<'_> {
    /// Where a workload stands, and its end if it has been decided since then.
    fn row(&self, identity: &Identity, answered: Option<Timestamp>) -> (Option<End>, Row) {
        let last = self.context.rollouts.states.last(&identity.uid);
        let (standing, patched) = last.unwrap_or_default();
        let state = standing.map_or(State::Unknown, |standing| standing.state);
        let reason = standing.and_then(|standing| standing.reason);
        let known = standing.zip(answered);
        let is_known = known.is_some_and(|(standing, answered)| standing.at >= answered);
        let row = Row {
            namespace: identity.namespace.to_string(),
            kind: identity.kind.to_owned(),
            name: identity.name.to_string(),
            state: state.to_string(),
            reason: reason.map(|reason| reason.to_string()),
            rolled_out: patched.is_some_and(|at| at >= self.since),
            seconds: self.begun.elapsed().as_secs(),
        };
        (end(state, reason).filter(|_| is_known), row)
    }
}

impl Awaited {
    fn new(image: Arc<str>) -> Self {
        Self {
            image,
            answered: None,
            answer: Resolution::default(),
            ended: HashMap::new(),
        }
    }

    /// Whether every workload has come to an end by now.
    fn has_ended(&mut self, watch: &Watch<'_>) -> bool {
        let context = watch.context;
        let Some(answer) = context.sources.tags.resolution(&self.image, watch.since) else {
            return false;
        };
        self.answer = answer;
        let answered = *self.answered.get_or_insert_with(|| {
            // A decision that begins from now on rests on the answer.
            context.triggers.send(&self.answer.workloads);
            clock::now()
        });
        for identity in &self.answer.workloads {
            if !self.ended.contains_key(identity)
                && let (Some(end), row) = watch.row(identity, Some(answered))
            {
                self.ended.insert(identity.clone(), (end, row));
            }
        }
        let mut workloads = self.answer.workloads.iter();
        workloads.all(|identity| self.ended.contains_key(identity))
    }

    /// Where its workloads stand, those last that have not come to an end.
    fn report(self, watch: &Watch<'_>) -> Report {
        let workloads = &self.answer.workloads;
        let left = workloads
            .iter()
            .filter(|identity| !self.ended.contains_key(*identity));
        let left: Vec<_> = left.map(|identity| watch.row(identity, None).1).collect();
        let ended = self.ended.into_values().map(|(_, row)| row);
        Report {
            image: self.image.to_string(),
            digest: self.answer.digest.map(|digest| digest.to_string()),
            workloads: ended.chain(left).collect(),
        }
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
