//! Carries a decision to roll out through: sends the patch, and finds out what became of it.
//!
//! The answer to a patch can be lost: a load balancer says 504, a connection breaks, and the API server has taken the
//! patch all the same, or takes it later. Then the workload itself says so, as it carries what the patch wrote: it is read
//! once right away, and otherwise recognised when a watch shows it.

pub(crate) mod budget;
mod conflicts;
pub(crate) mod field_manager;
pub(crate) mod history;
pub(crate) mod limiter;
pub(crate) mod patch;
mod unconfirmed;

use std::time::Duration;

use jiff::Timestamp;
use kube_autorollout_core::decide::Rollout;

use self::patch::{Error, Unread};
pub(crate) use self::{conflicts::Conflicts, unconfirmed::Unconfirmed};
use crate::{
    clock, controller::context::Context, rollout::budget::Place, workload::Workload,
    workload::identity::Identity,
};

/// After so many conflicts in a row of one workload, a change that no reconcile would read is not waited for any more.
const PATIENCE: u32 = 3;

/// So many times in a row the patch is then sent for the workload as it has just been read.
const SHORT_CUTS: u32 = 4;

/// What became of a rollout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The workload is patched, and all is told of it.
    Triggered,
    /// Somebody else changed the workload since it was observed, so it has to be decided again, after so long at the latest.
    Conflict(Duration),
    /// It has been deleted meanwhile.
    Gone,
    /// Another replica leads by now, or we were asked to stop, and nothing was sent.
    NotOurs,
}

/// Patches the workload and tells of it.
///
/// # Errors
///
/// [`Error`] when the patch was refused for another reason than a change in between, or when it is not known whether it
/// was taken: then the place is kept, and [`settle`] will find out.
pub(crate) async fn roll_out(
    workload: &Workload,
    identity: &Identity,
    rollout: &Rollout,
    place: Place<'_>,
    context: &Context,
) -> Result<Outcome, Error> {
    let permit = context.patches.begin();
    let _permit = context.stop.run_until_cancelled(permit).await;
    let mut base: Option<Box<Workload>> = None;
    for _ in 0..=SHORT_CUTS {
        let end = match context.leadership.may_act() {
            Ok(end) if !context.stop.is_cancelled() => end,
            _ => return Ok(Outcome::NotOurs),
        };
        let target = base.as_deref().unwrap_or(workload);
        let (unconfirmed, restarted_at) = (&context.unconfirmed, context.restarted_at);
        let written = unconfirmed.begin(identity, target, rollout, clock::now());
        let sent = patch::rollout(&context.client, target, &written, restarted_at, end).await;
        let found = match sent {
            Ok(generation) => {
                unconfirmed.forget(identity);
                Ok(Found::Ours(rollout.clone(), written.at, generation))
            }
            Err(error) => found(error, target, identity, context).await,
        };
        match found {
            Ok(Found::Ours(rollout, at, generation)) => {
                place.keep();
                triggered(identity, &rollout, at, generation, context);
                return Ok(Outcome::Triggered);
            }
            Ok(Found::Gone) => return Ok(Outcome::Gone),
            Ok(Found::Theirs(found)) => {
                context.reports.conflict(identity);
                let in_a_row = context.conflicts.add(identity, target);
                let same = found.filter(|found| found.fingerprint() == workload.fingerprint());
                if same.is_none() || in_a_row < PATIENCE {
                    break;
                }
                base = same;
            }
            Err(error) => {
                if matches!(error, Error::Lost(_) | Error::Timeout) {
                    place.keep();
                }
                return Err(error);
            }
        }
    }
    let wait = context.conflicts.wait(identity, workload);
    Ok(Outcome::Conflict(wait.unwrap_or_default()))
}

/// Recognises in a workload, as it is observed, a patch of ours whose answer was lost, and reports it. A reconcile does so
/// first of all.
pub(crate) fn settle(workload: &Workload, identity: &Identity, context: &Context) {
    let unconfirmed = &context.unconfirmed;
    if let Some((rollout, at)) = unconfirmed.settle(identity, workload, context.restarted_at) {
        triggered(identity, &rollout, at, generation(workload), context);
    }
}

/// What a patch has led to.
enum Found {
    /// The workload carries what this patch wrote, or one before it whose answer was lost: what was rolled out, when that
    /// was sent, and the workload's generation.
    Ours(Rollout, Timestamp, i64),
    /// Somebody else has changed the workload; it is like this now, where that could be read.
    Theirs(Option<Box<Workload>>),
    /// It is not there any more.
    Gone,
}

/// Finds out what a patch has led to that was not answered well.
async fn found(
    error: Error,
    target: &Workload,
    identity: &Identity,
    context: &Context,
) -> Result<Found, Error> {
    match &error {
        Error::Gone(_) => return Ok(Found::Gone),
        Error::Refused(_) => return Err(error),
        Error::Conflict(_) | Error::Lost(_) | Error::Timeout => {}
    }
    let (now, error) = match (patch::read(&context.client, target).await, error) {
        (Ok(Some(now)), error) => (now, error),
        (Ok(None), _) => return Ok(Found::Gone),
        (Err(Unread), Error::Conflict(_)) => return Ok(Found::Theirs(None)),
        (Err(Unread), error) => return Err(error),
    };
    let settled = context
        .unconfirmed
        .settle(identity, &now, context.restarted_at);
    if let Some((rollout, at)) = settled {
        return Ok(Found::Ours(rollout, at, generation(&now)));
    }
    if is_newer(&now, target.meta().resource_version.as_deref()) {
        return Ok(Found::Theirs(Some(Box::new(now)))); // and the patch cannot be taken any more
    }
    Err(match error {
        // Not for a change, then: an admission webhook may refuse with this code, too
        Error::Conflict(source) => Error::Refused(source),
        // The API server's own answer, and nothing is written
        Error::Lost(source) if is_internal(&source) => Error::Refused(source),
        error => error,
    })
}

fn is_internal(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 500)
}

fn generation(workload: &Workload) -> i64 {
    workload.meta().generation.unwrap_or(0)
}

/// Whether the workload has another `resourceVersion` than that, a later one where both are numbers, as they are for all
/// built-in kinds (<https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-versions>).
fn is_newer(workload: &Workload, than: Option<&str>) -> bool {
    let now = workload.meta().resource_version.as_deref();
    let number = |version: Option<&str>| version.and_then(|version| version.parse::<u64>().ok());
    match (number(now), number(than)) {
        (Some(now), Some(than)) => now > than,
        _ => now != than,
    }
}

fn triggered(
    identity: &Identity,
    rollout: &Rollout,
    at: Timestamp,
    generation: i64,
    context: &Context,
) {
    context.conflicts.over(identity);
    context.memory.remember(&identity.uid, rollout, at);
    context.reports.triggered(identity, rollout, generation, at);
}

#[cfg(test)]
mod tests;
