//! One workload, from what is to what should be.
//!
//! A reconcile of a workload of which nothing is new ends in one poll: what registries say and what pods run is looked up.
//! Where it is not there yet, the reconcile ends, and is requested again when it has been fetched. Only one that rolls out
//! waits: for certainty, and for the answer to its patch.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures::FutureExt as _;
use kube::runtime::controller::Action;
use kube_autorollout_core::{
    annotations::{InvalidAnnotation, Settings},
    decide::Decision,
    state::{Reason, State},
};
use tokio::time::Instant;

use super::{
    Context,
    context::KindContext,
    decision::{Decided, Reconcile},
    requeue::{Next, until},
};
use crate::{
    clock,
    metrics::Reconciled,
    observe::{Freshness, observation::Observation, pods},
    rollout::{
        Outcome, field_manager, patch, standing::Again, state::State as Known, tracker::Stuck,
    },
    status,
    workload::{Object, Unreadable, Workload, identity::Identity},
};

/// What keeps a workload from being decided or rolled out at all.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// Its pods cannot be read.
    #[error(transparent)]
    Observe(#[from] pods::Error),
    /// It cannot be written.
    #[error(transparent)]
    Patch(#[from] patch::Error),
    /// The API server's object is not what this version knows as such a workload.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    /// A defect of ours.
    #[error("the reconcile panicked")]
    Panicked,
}

/// What a reconcile came to.
enum Done {
    /// Something is being fetched; the workload is reconciled when it is there.
    Waiting,
    /// It was decided, and is reconciled again after so long.
    Decided(Reconciled, Option<Duration>),
}

impl Done {
    const fn unchanged(again: Option<Duration>) -> Self {
        Self::Decided(Reconciled::Unchanged, again)
    }
}

/// Reconciles a workload. A panic ends this reconcile only.
///
/// # Errors
///
/// [`Error`], which has been reported, when it could not be decided or rolled out.
pub(super) async fn reconcile(
    object: Arc<Object>,
    context: Arc<KindContext>,
) -> Result<Action, Error> {
    let begun = Instant::now();
    let KindContext { kind, context } = &*context;
    let uid = object.uid();
    let Some(identity) = context.rollouts.states.identity(uid) else {
        return Ok(Action::await_change()); // It is not selected any more.
    };
    let reconciled = async {
        let workload = Workload::new(*kind, object)?;
        if let Some(triggered) = context.rollouts.settle(&workload, &identity) {
            let labels = &context.sources.labels;
            context.reporter.triggered(&identity, &triggered, labels);
        }
        step(&workload, &identity, context).await
    };
    let reconciled = AssertUnwindSafe(reconciled).catch_unwind().await;
    let result = reconciled.unwrap_or(Err(Error::Panicked));
    let since = waited(&identity, &result, begun, context);
    let outcome = match &result {
        Ok(Done::Waiting) => return Ok(Action::await_change()),
        Ok(Done::Decided(outcome, _)) => *outcome,
        Err(error) => {
            failed(&identity, error, context);
            Reconciled::Error
        }
    };
    context
        .reporter
        .reconciled(identity.kind, outcome, since.elapsed());
    match result? {
        Done::Decided(_, Some(again)) => Ok(Action::requeue(again)),
        Done::Decided(_, None) | Done::Waiting => Ok(Action::await_change()),
    }
}

/// When to try again after a reconcile that failed: later each time.
#[expect(clippy::needless_pass_by_value, reason = "as the Controller calls it")]
pub(super) fn error_policy(object: Arc<Object>, _: &Error, context: Arc<KindContext>) -> Action {
    let uid = object.uid();
    let states = &context.context.rollouts.states;
    let retry = states.with(uid, |state| state.retry(uid));
    retry.map_or_else(Action::await_change, Action::requeue)
}

/// Since when the workload has been reconciled, with the time that it has waited.
fn waited(
    identity: &Identity,
    result: &Result<Done, Error>,
    begun: Instant,
    context: &Context,
) -> Instant {
    let since = context.rollouts.states.with(&identity.uid, |state| {
        if matches!(result, Ok(Done::Waiting)) {
            return None;
        }
        state.waiting.take().map(|waiting| waiting.1)
    });
    since.flatten().unwrap_or(begun)
}

fn failed(identity: &Identity, error: &Error, context: &Context) {
    let now = clock::now();
    context.budget.gave_up(identity, now);
    let refused = matches!(error, Error::Patch(patch::Error::Refused(_)));
    let known = context.rollouts.states.with(&identity.uid, |state| {
        let again = Again {
            next: now.checked_add(state.failed(&identity.uid)).ok(),
            attempt: None,
        };
        state.tracker.failed(now);
        state.stands((State::Unknown, Some(Reason::ApiServer), None), now, again);
        let record = refused.then(|| state.unconfirmed.record()).flatten();
        (state.tracker.outdated().is_some(), record)
    });
    // If it is not selected any more, it is left alone.
    if let Some((outdated, record)) = known {
        let reporter = &context.reporter;
        reporter.failed(identity, error, record.as_ref(), outdated, now);
    }
}

/// An annotation of the workload cannot be followed: it is left alone until that changes.
fn invalid(identity: &Identity, error: &InvalidAnnotation, context: &Context) {
    let now = clock::now();
    context.sources.tags.follow(identity, &[]);
    context.budget.forget(identity);
    context.rollouts.states.with(&identity.uid, |state| {
        state.succeeded();
        state.tracker.invalid(now);
        state.stands(
            (State::InvalidConfiguration, None, None),
            now,
            Again::default(),
        );
    });
    context.reporter.invalid(identity, error, now);
}

async fn step(workload: &Workload, identity: &Identity, context: &Context) -> Result<Done, Error> {
    let now = clock::now();
    let states = &context.rollouts.states;
    if workload.meta().deletion_timestamp.is_some() {
        context.forget(identity);
        return Ok(Done::unchanged(None));
    }
    let known = states.with(&identity.uid, |state| {
        (
            state.conflicts.wait(workload),
            state.tracker.in_flight(),
            state.waiting.as_deref().copied(),
        )
    });
    let Some((conflict, flight, waiting)) = known else {
        return Ok(Done::unchanged(None));
    };
    if conflict.is_some() {
        return Ok(Done::unchanged(conflict));
    }
    let containers = workload.template().containers();
    let settings = match Settings::parse(workload.annotations(), &containers, &context.zone) {
        Ok(settings) => settings,
        Err(error) => {
            invalid(identity, &error, context);
            return Ok(Done::unchanged(None));
        }
    };
    let next = Next::after(&settings, identity, flight, now, context);
    // What it has waited for is fresh enough, however long that took.
    let freshness = match waiting {
        Some((freshness, since)) => Freshness {
            waited: Some(since),
            ..freshness
        },
        None => next.freshness(),
    };
    let reconcile = Reconcile {
        workload,
        identity,
        settings: &settings,
        next,
        context,
    };
    let stop = &context.rollouts.stop;
    match stop.run_until_cancelled(reconcile.decided(freshness)).await {
        Some(Ok(Some(decided))) => reconcile.carry_out(decided).await,
        Some(Ok(None)) => {
            states.with(&identity.uid, |state| {
                state
                    .waiting
                    .get_or_insert_with(|| Box::new((freshness, Instant::now())));
            });
            Ok(Done::Waiting)
        }
        Some(Err(error)) => Err(error.into()),
        None => Ok(Done::unchanged(None)),
    }
}

impl Reconcile<'_> {
    /// Rolls the workload out where that was decided, and reports what was.
    async fn carry_out(&self, decided: Decided<'_>) -> Result<Done, Error> {
        let Decided {
            mut observation,
            decision,
            slot,
        } = decided;
        let (workload, identity, context) = (self.workload, self.identity, self.context);
        let states = &context.rollouts.states;
        if states.identity(&identity.uid).is_none() {
            return Ok(Done::unchanged(None)); // Its label has gone meanwhile.
        }
        if let Some(tags) = &observation.tags {
            context.sources.tags.follow(identity, tags);
        }
        if self.has_newly_lost_its_record(&decision, &observation) {
            let writer = field_manager::of(&context.rollouts.client, workload);
            let writer = context.rollouts.stop.run_until_cancelled(writer).await;
            observation.template_writer = writer.flatten();
        }
        let mut outcome = Reconciled::Unchanged;
        if let Some((rollout, slot)) = decision.rollout.as_ref().zip(slot) {
            let rolled_out = context.rollouts.roll_out(workload, identity, rollout, slot);
            let (rolled_out, conflicts) = rolled_out.await?;
            (0..conflicts).for_each(|_| context.reporter.conflict(identity));
            match rolled_out {
                Outcome::Triggered(triggered) => {
                    let labels = &context.sources.labels;
                    let settled = labels.settled(&triggered.rollout);
                    context.rollouts.stop.run_until_cancelled(settled).await;
                    context.reporter.triggered(identity, &triggered, labels);
                    if let Some(announced) = context.sources.tags.announced(identity) {
                        context.reporter.hinted(until(triggered.at, announced));
                    }
                    outcome = Reconciled::Changed;
                }
                Outcome::Conflict(wait) => return Ok(Done::unchanged(Some(wait))),
                // A watch shows when it is deleted; if none does, it is decided again at its next tick.
                Outcome::Gone => {
                    return Ok(Done::unchanged(Some(self.next.tick(clock::now()))));
                }
                Outcome::NotLeading => return Ok(Done::unchanged(None)),
            }
        }
        Ok(Done::Decided(outcome, self.report(&decision, &observation)))
    }

    /// Remembers and reports what was decided; returns when to reconcile again.
    fn report(&self, decision: &Decision, observation: &Observation) -> Option<Duration> {
        let (identity, context, now) = (self.identity, self.context, self.next.now);
        let remembered = context.rollouts.states.with(&identity.uid, |state| {
            state.conflicts.end();
            let tracker = &mut state.tracker;
            let transition = tracker.decided(self.workload, decision, observation, now);
            let (outdated, flight) = (tracker.outdated().is_some(), tracker.in_flight());
            let retry = retry(observation, decision, state, &identity.uid);
            let end = clock::now();
            let delay = self.next.delay(decision.again, flight, end);
            let delay = retry.map_or(delay, |retry| delay.min(retry));
            let again = Again {
                next: end.checked_add(delay).ok(),
                attempt: decision.again,
            };
            let container = self.place(decision.container.as_deref());
            state.stands((decision.state, decision.reason, container), now, again);
            (transition, outdated, delay)
        });
        let (transition, outdated, delay) = remembered?;
        context.budget.decided(identity, decision);
        let reporter = &context.reporter;
        reporter.decided(identity, decision, observation, transition, outdated, now);
        Some(delay)
    }

    /// The place of a container in the pod template.
    fn place(&self, container: Option<&str>) -> Option<u8> {
        let mut names = self.workload.template().names();
        let place = names.position(|name| Some(name) == container)?;
        u8::try_from(place).ok()
    }

    /// Whether it is about to be reported that the workload does not converge and has lost our record: who took the record
    /// away is worth a request once.
    fn has_newly_lost_its_record(&self, decision: &Decision, observation: &Observation) -> bool {
        if decision.state != State::NotConverging || !status::has_lost_record(decision, observation)
        {
            return false;
        }
        let stuck = Stuck::of(decision, observation);
        let states = &self.context.rollouts.states;
        let is_new = |state: &mut Known| state.tracker.stuck() != Some(&stuck);
        states.with(&self.identity.uid, is_new).unwrap_or(false)
    }
}

/// When to try again what failed for a reason that may pass: at the latest at the next tick, which may be a day away.
fn retry(
    observation: &Observation,
    decision: &Decision,
    state: &mut Known,
    uid: &str,
) -> Option<Duration> {
    let mut failures = observation.failures.iter();
    let failed = failures.any(|(_, failure)| failure.transient)
        || decision.reason.is_some_and(Reason::is_transient);
    if !failed {
        state.succeeded();
        return None;
    }
    Some(match observation.retry {
        Some(retry) => until(retry, clock::now()),
        None => state.failed(uid),
    })
}
