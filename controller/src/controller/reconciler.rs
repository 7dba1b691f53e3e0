//! One workload, from what is to what should be.
//!
//! A reconcile of a workload of which nothing is new ends in one poll: what registries say and what pods run is looked up.
//! Where it is not there yet, the reconcile ends, and is requested again when it has been fetched. Only one that rolls out
//! waits: for certainty, and for the answer to its patch.

use std::{panic::AssertUnwindSafe, sync::Arc};

use futures::FutureExt as _;
use kube::runtime::controller::Action;
use kube_autorollout_core::{
    annotations::{InvalidAnnotation, Settings},
    state::{Reason, State},
};
use tokio::time::Instant;

use super::{
    Context,
    apply::{Begun, Done},
    context::KindContext,
    decision::Reconcile,
    error::Error,
    requeue::Next,
};
use crate::{
    clock,
    metrics::Reconciled,
    observe::Freshness,
    rollout::{patch, standing::Again},
    status::RefusedRollout,
    workload::{Object, Workload, identity::Identity},
};

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
        let rollout = refused.then(|| state.unconfirmed.last()).flatten();
        (state.tracker.outdated().is_some(), rollout)
    });
    // If it is not selected any more, it is left alone.
    if let Some((outdated, rollout)) = known {
        let workload = rollout.as_ref().and_then(|_| context.objects.get(identity));
        let refused = rollout.as_ref().map(|rollout| RefusedRollout {
            rollout,
            template: workload.as_ref().map(Workload::template),
            labels: &context.sources.labels,
        });
        let reporter = &context.reporter;
        reporter.failed(identity, error, refused.as_ref(), outdated, now);
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
    let containers: Vec<_> = workload.template().containers().collect();
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
    let done = match reconcile.begin(freshness)? {
        Begun::Ended(done) => done,
        Begun::Waits(carried_out) => carried_out.await?,
    };
    if matches!(done, Done::Waiting) {
        states.with(&identity.uid, |state| {
            let waiting = || Box::new((freshness, Instant::now()));
            state.waiting.get_or_insert_with(waiting);
        });
    }
    Ok(done)
}
