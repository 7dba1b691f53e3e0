//! Carries a decision to roll out through: sends the patch, and finds out what became of it.
//!
//! The answer to a patch can be lost: a load balancer says 504, a connection breaks, and the API server has taken the
//! patch all the same, or takes it later. Then the workload itself says so, as it carries what the patch wrote: it is read
//! once right away, and otherwise recognised when a watch shows it.

pub(crate) mod budget;
mod conflicts;
pub(crate) mod field_manager;
mod flight;
pub(crate) mod history;
pub(crate) mod limiter;
pub(crate) mod patch;
pub(crate) mod standing;
pub(crate) mod state;
pub(crate) mod tracker;
mod unconfirmed;

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use kube::Client;
use kube_autorollout_core::decide::Rollout;
use tokio_util::sync::CancellationToken;

pub(crate) use self::flight::Flight;
use self::{
    budget::Slot,
    conflicts::Conflicts,
    history::History,
    limiter::Limiter,
    patch::{Error, Unread},
    state::States,
    unconfirmed::Unconfirmed,
};
use crate::{
    clock,
    leader_election::leadership::Leadership,
    workload::{Workload, identity::Identity},
};

/// After so many conflicts in a row of one workload, a change that no reconcile would read is not waited for any more.
const PATIENCE: u32 = 3;

/// So many times in a row the patch is then sent for the workload as it has just been read.
const SHORT_CUTS: u32 = 4;

/// What became of a rollout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The workload is patched.
    Triggered(Triggered),
    /// Somebody else changed the workload since it was observed, so it has to be decided again, after so long at the latest.
    Conflict(Duration),
    /// It has been deleted meanwhile.
    Gone,
    /// Another replica leads by now, or we were asked to stop, and nothing was sent.
    NotLeading,
}

/// A rollout that the API server has taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Triggered {
    pub(crate) rollout: Rollout,
    /// When the patch was sent.
    pub(crate) at: Timestamp,
    /// The generation that the workload has since then.
    generation: i64,
}

/// Rolls workloads out.
pub(crate) struct Rollouts {
    pub(crate) client: Client,
    pub(crate) limiter: Arc<Limiter>,
    pub(crate) leadership: Arc<Leadership>,
    pub(crate) history: History,
    pub(crate) states: States,
    /// Nothing is begun any more.
    pub(crate) stop: CancellationToken,
    /// The annotation that holds the instant of a rollout.
    pub(crate) restarted_at: &'static str,
}

impl Rollouts {
    /// Patches the workload; returns what became of it, and in how many attempts somebody else had changed the workload.
    ///
    /// # Errors
    ///
    /// [`Error`] when the patch was refused for another reason than a change in between, or when it is not known whether it
    /// was taken: then the slot is kept, and [`settle`](Self::settle) will find out.
    pub(crate) async fn roll_out(
        &self,
        workload: &Workload,
        identity: &Identity,
        rollout: &Rollout,
        slot: Slot<'_>,
    ) -> Result<(Outcome, u32), Error> {
        let permit = self.limiter.acquire();
        let _permit = self.stop.run_until_cancelled(permit).await;
        let mut base: Option<Box<Workload>> = None;
        let mut conflicts = 0;
        for _ in 0..=SHORT_CUTS {
            let end = match self.leadership.may_act() {
                Ok(end) if !self.stop.is_cancelled() => end,
                _ => return Ok((Outcome::NotLeading, conflicts)),
            };
            let target = base.as_deref().unwrap_or(workload);
            let begun = self.states.with(&identity.uid, |state| {
                state.unconfirmed.begin(target, rollout, clock::now())
            });
            let Some(written) = begun else {
                return Ok((Outcome::Gone, conflicts));
            };
            let sent = patch::rollout(&self.client, target, &written, self.restarted_at, end);
            let found = match sent.await {
                Ok(generation) => Ok(Found::Ours(Triggered {
                    rollout: rollout.clone(),
                    at: written.at,
                    generation,
                })),
                Err(error) => self.found(error, target, identity).await,
            };
            match found {
                Ok(Found::Ours(triggered)) => {
                    slot.keep();
                    self.triggered(identity, &triggered);
                    return Ok((Outcome::Triggered(triggered), conflicts));
                }
                Ok(Found::Gone) => return Ok((Outcome::Gone, conflicts)),
                Ok(Found::Theirs(found)) => {
                    conflicts += 1;
                    let add = |state: &mut state::State| state.conflicts.add(target);
                    let in_a_row = self.states.with(&identity.uid, add).unwrap_or_default();
                    let same = found.filter(|found| found.fingerprint() == workload.fingerprint());
                    if same.is_none() || in_a_row < PATIENCE {
                        break;
                    }
                    base = same;
                }
                Err(error) => {
                    if matches!(error, Error::Lost(_) | Error::Timeout) {
                        slot.keep();
                    }
                    return Err(error);
                }
            }
        }
        let wait = |state: &mut state::State| state.conflicts.wait(workload);
        let wait = self.states.with(&identity.uid, wait).flatten();
        Ok((Outcome::Conflict(wait.unwrap_or_default()), conflicts))
    }

    /// Recognises in a workload, as it is observed, a patch of ours whose answer was lost. A reconcile does so first of all.
    pub(crate) fn settle(&self, workload: &Workload, identity: &Identity) -> Option<Triggered> {
        let triggered = self.taken(workload, identity)?;
        self.triggered(identity, &triggered);
        Some(triggered)
    }

    fn taken(&self, workload: &Workload, identity: &Identity) -> Option<Triggered> {
        let settle =
            |state: &mut state::State| state.unconfirmed.settle(workload, self.restarted_at);
        let (rollout, at) = self.states.with(&identity.uid, settle)??;
        Some(Triggered {
            rollout,
            at,
            generation: workload.meta().generation.unwrap_or(0),
        })
    }

    /// Finds out what a patch has led to that was not answered well.
    async fn found(
        &self,
        error: Error,
        target: &Workload,
        identity: &Identity,
    ) -> Result<Found, Error> {
        match &error {
            Error::Gone(_) => return Ok(Found::Gone),
            Error::Refused(_) => return Err(error),
            Error::Conflict(_) | Error::Lost(_) | Error::Timeout => {}
        }
        let (now, error) = match (patch::read(&self.client, target).await, error) {
            (Ok(Some(now)), error) => (now, error),
            (Ok(None), _) => return Ok(Found::Gone),
            (Err(Unread), Error::Conflict(_)) => return Ok(Found::Theirs(None)),
            (Err(Unread), error) => return Err(error),
        };
        if let Some(triggered) = self.taken(&now, identity) {
            return Ok(Found::Ours(triggered));
        }
        if is_newer(&now, target.resource_version().map(|version| &**version)) {
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

    fn triggered(&self, identity: &Identity, triggered: &Triggered) {
        let Triggered {
            rollout,
            at,
            generation,
        } = triggered;
        self.history.remember(&identity.uid, rollout, *at);
        self.states.with(&identity.uid, |state| {
            state.unconfirmed.end();
            state.conflicts.end();
            state.patched = Some(*at);
            state.tracker.triggered(*generation, *at);
        });
    }
}

/// What a patch has led to.
enum Found {
    /// The workload carries what this patch wrote, or one before it whose answer was lost.
    Ours(Triggered),
    /// Somebody else has changed the workload; it is like this now, where that could be read.
    Theirs(Option<Box<Workload>>),
    /// It is not there any more.
    Gone,
}

fn is_internal(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 500)
}

/// Whether the workload has another `resourceVersion` than that, a later one where both are numbers, as they are for all
/// built-in kinds (<https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-versions>).
fn is_newer(workload: &Workload, than: Option<&str>) -> bool {
    let now = workload.resource_version().map(|version| &**version);
    let number = |version: Option<&str>| version.and_then(|version| version.parse::<u64>().ok());
    match (number(now), number(than)) {
        (Some(now), Some(than)) => now > than,
        _ => now != than,
    }
}

#[cfg(test)]
mod tests;
