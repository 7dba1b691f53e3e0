//! The reconcile function and the error policy of the controllers.
//!
//! A reconcile without news completes in one poll: tags and pods are looked up in memory. If a fact is missing or stale, the
//! reconcile ends, and the completed fetch triggers another. Only a rollout awaits anything: confirmed facts, and the
//! response to its patch.

use std::{panic::AssertUnwindSafe, sync::Arc};

use futures::FutureExt as _;
use kube::runtime::controller::Action;
use kube_autorollout_core::{
    annotations::{InvalidAnnotation, Settings},
    state::{Reason, State},
};
use tokio::time::Instant;

use super::{
    Context, Error,
    apply::{Reconciled, unchanged},
    context::KindContext,
    decision::Reconcile,
    requeue::Timing,
};
use crate::{
    clock,
    metrics::ReconcileOutcome,
    observe::Freshness,
    rollout::{condition::Upcoming, patch},
    status::RefusedRollout,
    workload::{Object, Workload, identity::Identity},
};

/// Reconciles a workload. A panic fails this reconcile only.
///
/// # Errors
///
/// [`Error`] when the workload could not be evaluated or rolled out. It has been reported.
pub(super) async fn reconcile(
    object: Arc<Object>,
    context: Arc<KindContext>,
) -> Result<Action, Error> {
    let started = Instant::now();
    let KindContext { kind, context } = &*context;
    let states = &context.rollouts.states;
    let Some(identity) = states.identity(object.uid()) else {
        return Ok(Action::await_change()); // no longer selected
    };
    let reconciled = async {
        let workload = Workload::new(*kind, object)?;
        if let Some(triggered) = context.rollouts.recognise(&workload, &identity) {
            let labels = &context.sources.labels;
            context.reporter.triggered(&identity, &triggered, labels);
        }
        reconcile_workload(&workload, &identity, context).await
    };
    let result = AssertUnwindSafe(reconciled).catch_unwind().await;
    let result = result.unwrap_or(Err(Error::Panicked));
    let Some(result) = result.transpose() else {
        return Ok(Action::await_change()); // a fetch is in flight
    };
    let waiting = states.with(&identity.uid, |state| state.waiting.take());
    let since = waiting.flatten().map_or(started, |waiting| waiting.1);
    let outcome = match &result {
        Ok((outcome, _)) => *outcome,
        Err(error) => {
            failed(&identity, error, context);
            ReconcileOutcome::Error
        }
    };
    let metrics = &context.reporter.metrics;
    metrics.reconciled(identity.kind, outcome, since.elapsed());
    result.map(|(_, action)| action)
}

/// Retries a failed reconcile with a backoff.
#[expect(clippy::needless_pass_by_value, reason = "as the Controller calls it")]
pub(super) fn error_policy(object: Arc<Object>, _: &Error, context: Arc<KindContext>) -> Action {
    let uid = object.uid();
    let states = &context.context.rollouts.states;
    let retry = states.with(uid, |state| state.retry(uid));
    retry.map_or_else(Action::await_change, Action::requeue)
}

/// Records and reports that a reconcile failed.
fn failed(identity: &Identity, error: &Error, context: &Context) {
    let now = clock::now();
    context.budget.reconcile_failed(identity, now);
    let refused = matches!(error, Error::Patch(patch::Error::Refused(_)));
    let recorded = context.rollouts.states.with(&identity.uid, |state| {
        let upcoming = Upcoming {
            reconcile: now.checked_add(state.failed(&identity.uid)).ok(),
            attempt: None,
        };
        state.tracker.failed(now);
        let condition = (State::Unknown, Some(Reason::ApiServer), None);
        state.set_condition(condition, now, upcoming);
        let rollout = refused.then(|| state.unconfirmed.last()).flatten();
        (state.tracker.outdated().is_some(), rollout)
    });
    // A workload that is no longer selected is not reported.
    if let Some((outdated, rollout)) = recorded {
        let workload = rollout.as_ref().and_then(|_| context.stores.get(identity));
        let refused = rollout.as_ref().map(|rollout| RefusedRollout {
            rollout,
            template: workload.as_ref().map(Workload::template),
            labels: &context.sources.labels,
        });
        let reporter = &context.reporter;
        reporter.failed(identity, error, refused.as_ref(), outdated, now);
    }
}

/// Records and reports an invalid annotation. The workload is left alone until the annotation changes.
fn invalid(identity: &Identity, error: &InvalidAnnotation, context: &Context) {
    let now = clock::now();
    context.sources.tags.follow(identity, &[]);
    context.budget.release(identity);
    context.rollouts.states.with(&identity.uid, |state| {
        state.succeeded();
        state.tracker.invalid(now);
        let condition = (State::InvalidConfiguration, None, None);
        state.set_condition(condition, now, Upcoming::default());
    });
    context.reporter.invalid(identity, error, now);
}

/// Reconciles a workload that this version can read; `None` while a fetch is in flight, and if it is no longer selected or the term
/// ends.
async fn reconcile_workload(
    workload: &Workload,
    identity: &Identity,
    context: &Context,
) -> Result<Option<Reconciled>, Error> {
    let now = clock::now();
    let states = &context.rollouts.states;
    if workload.meta().deletion_timestamp.is_some() {
        context.forget(identity);
        return Ok(Some(unchanged(None)));
    }
    let state = states.with(&identity.uid, |state| {
        (
            state.conflicts.wait(workload),
            state.tracker.in_flight(),
            state.waiting.as_deref().copied(),
        )
    });
    let Some((conflict, flight, waiting)) = state else {
        return Ok(Some(unchanged(None)));
    };
    if conflict.is_some() {
        return Ok(Some(unchanged(conflict)));
    }
    let containers: Vec<_> = workload.template().containers().collect();
    let settings = match Settings::parse(workload.annotations(), &containers, &context.zone) {
        Ok(settings) => settings,
        Err(error) => {
            invalid(identity, &error, context);
            return Ok(Some(unchanged(None)));
        }
    };
    let timing = Timing::new(&settings, identity, flight, now, context);
    // A fact that was fetched for this workload is fresh enough, however long the fetch took.
    let freshness = match waiting {
        Some((freshness, since)) => Freshness {
            waited: Some(since),
            ..freshness
        },
        None => timing.freshness(),
    };
    let reconcile = Reconcile {
        workload,
        identity,
        settings: &settings,
        timing,
        context,
    };
    let reconciled = reconcile.run(freshness).await?;
    if reconciled.is_none() {
        states.with(&identity.uid, |state| {
            let waiting = || Box::new((freshness, Instant::now()));
            state.waiting.get_or_insert_with(waiting);
        });
    }
    Ok(reconciled)
}
