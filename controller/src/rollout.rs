//! Rolls workloads out: sends the patch, and determines its result.
//!
//! The response to a patch can be lost: a load balancer returns 504 or a connection breaks, and the API server has applied
//! the patch nevertheless, or applies it later. The workload shows whether it was applied, as it carries the annotations that
//! the patch wrote: it is read once immediately, and otherwise recognised when the watch shows it.

pub(crate) mod budget;
pub(crate) mod condition;
mod conflicts;
pub(crate) mod field_manager;
mod flight;
pub(crate) mod limiter;
pub(crate) mod patch;
pub(crate) mod recent;
pub(crate) mod state;
pub(crate) mod tracker;
mod unconfirmed;

use std::{sync::Arc, time::Duration};

use jiff::{SignedDuration, Timestamp};
use kube::{Api, Client, api::ListParams};
use kube_autorollout_core::decide::Rollout;
use tokio_util::sync::CancellationToken;

pub(crate) use self::flight::Flight;
use self::{
    budget::Slot,
    conflicts::Conflicts,
    limiter::Limiter,
    patch::{Error, Unread},
    recent::RecentRollouts,
    state::{States, WorkloadState},
    unconfirmed::UnconfirmedPatches,
};
use crate::{
    clock,
    leader_election::leadership::Leadership,
    workload::{Object, Workload, identity::Identity},
};

/// Consecutive conflicts of a workload after which the patch is retried immediately with the new `resourceVersion`, if the
/// concurrent change concerns no field that a reconcile reads.
const CONFLICTS_BEFORE_RETRY: u32 = 3;

/// Maximum number of immediate retries in one reconcile.
const RETRIES: u32 = 4;

/// The result of a rollout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RolloutResult {
    /// The workload was patched.
    Triggered(Triggered),
    /// The workload was changed concurrently. It is evaluated again after this time at the latest.
    Conflict(Duration),
    /// The workload was deleted.
    Gone,
    /// Nothing was sent: this replica no longer leads, or is stopping.
    NotLeading,
}

/// A rollout whose patch was applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Triggered {
    pub(crate) rollout: Rollout,
    /// When the patch was sent.
    pub(crate) at: Timestamp,
    /// The workload's generation after the patch.
    generation: i64,
}

/// Rolls workloads out.
pub(crate) struct Rollouts {
    pub(crate) client: Client,
    pub(crate) limiter: Arc<Limiter>,
    pub(crate) leadership: Arc<Leadership>,
    pub(crate) recent: RecentRollouts,
    pub(crate) states: States,
    /// Cancelled at the end of the term: no patch is sent afterwards.
    pub(crate) stop: CancellationToken,
    /// The annotation for the time of a rollout.
    pub(crate) restarted_at: &'static str,
}

impl Rollouts {
    /// Patches the workload; returns the result, and the number of conflicts.
    ///
    /// # Errors
    ///
    /// [`Error`] when the patch was refused for another reason than a conflict, or when it is unknown whether it was applied:
    /// the slot is then kept, and a later [`recognise`](Self::recognise) resolves it.
    pub(crate) async fn roll_out(
        &self,
        workload: &Workload,
        identity: &Identity,
        rollout: &Rollout,
        slot: Slot<'_>,
    ) -> Result<(RolloutResult, u32), Error> {
        let permit = self.limiter.acquire();
        let _permit = self.stop.run_until_cancelled(permit).await;
        let mut base: Option<Box<Workload>> = None;
        let mut conflicts = 0;
        for _ in 0..=RETRIES {
            let end = match self.leadership.may_act() {
                Ok(end) if !self.stop.is_cancelled() => end,
                _ => return Ok((RolloutResult::NotLeading, conflicts)),
            };
            let target = base.as_deref().unwrap_or(workload);
            let at = later_than_the_last(target, self.restarted_at, clock::now());
            let content = self.states.with(&identity.uid, |state| {
                state.unconfirmed.begin(target, rollout, at)
            });
            let Some(content) = content else {
                return Ok((RolloutResult::Gone, conflicts));
            };
            let sent = patch::send(&self.client, target, &content, self.restarted_at, end);
            let result = match sent.await {
                Ok(generation) => Ok(PatchResult::Applied(Triggered {
                    rollout: content.rollout,
                    at: content.at,
                    generation,
                })),
                Err(error) => self.resolve(error, target, identity).await,
            };
            match result {
                Ok(PatchResult::Applied(triggered)) => {
                    slot.keep();
                    self.triggered(identity, &triggered);
                    return Ok((RolloutResult::Triggered(triggered), conflicts));
                }
                Ok(PatchResult::Gone) => return Ok((RolloutResult::Gone, conflicts)),
                Ok(PatchResult::Conflict(current)) => {
                    conflicts += 1;
                    let add = |state: &mut WorkloadState| state.conflicts.add(target);
                    let consecutive = self.states.with(&identity.uid, add).unwrap_or_default();
                    base =
                        current.filter(|current| current.fingerprint() == workload.fingerprint());
                    if base.is_none() || consecutive < CONFLICTS_BEFORE_RETRY {
                        break;
                    }
                }
                Err(error) => {
                    if matches!(error, Error::Lost(_) | Error::Timeout) {
                        slot.keep();
                    }
                    return Err(error);
                }
            }
        }
        let wait = |state: &mut WorkloadState| state.conflicts.wait(workload);
        let wait = self.states.with(&identity.uid, wait).flatten();
        Ok((RolloutResult::Conflict(wait.unwrap_or_default()), conflicts))
    }

    /// Recognises an unconfirmed patch of ours in the workload. Each reconcile begins with this.
    pub(crate) fn recognise(&self, workload: &Workload, identity: &Identity) -> Option<Triggered> {
        let triggered = self.applied(workload, identity)?;
        self.triggered(identity, &triggered);
        Some(triggered)
    }

    /// The unconfirmed patch that the workload carries, if it carries one.
    fn applied(&self, workload: &Workload, identity: &Identity) -> Option<Triggered> {
        let recognise =
            |state: &mut WorkloadState| state.unconfirmed.recognise(workload, self.restarted_at);
        let content = self.states.with(&identity.uid, recognise)??;
        Some(Triggered {
            rollout: content.rollout,
            at: content.at,
            generation: workload.meta().generation.unwrap_or(0),
        })
    }

    /// Determines the result of a patch that failed, from the workload as the API server has it now.
    async fn resolve(
        &self,
        error: Error,
        target: &Workload,
        identity: &Identity,
    ) -> Result<PatchResult, Error> {
        match &error {
            Error::Gone(_) => return Ok(PatchResult::Gone),
            Error::Refused(_) => return Err(error),
            Error::Conflict(_) | Error::Lost(_) | Error::Timeout => {}
        }
        let (current, error) = match (patch::read(&self.client, target).await, error) {
            (Ok(Some(current)), error) => (current, error),
            (Ok(None), _) => return Ok(PatchResult::Gone),
            (Err(Unread), Error::Conflict(_)) => return Ok(PatchResult::Conflict(None)),
            (Err(Unread), error) => return Err(error),
        };
        if let Some(triggered) = self.applied(&current, identity) {
            return Ok(PatchResult::Applied(triggered));
        }
        if is_newer(&current, target.resource_version()) {
            // The patch can no longer be applied.
            return Ok(PatchResult::Conflict(Some(Box::new(current))));
        }
        Err(match error {
            // No change caused it: an admission webhook may deny a request with this code, too.
            Error::Conflict(source) => Error::Refused(source),
            // The API server itself responded, and did not write.
            Error::Lost(kube::Error::Api(status)) if status.code == 500 => {
                Error::Refused(kube::Error::Api(status))
            }
            error => error,
        })
    }

    fn triggered(&self, identity: &Identity, triggered: &Triggered) {
        let at = triggered.at;
        self.recent.remember(&identity.uid, &triggered.rollout, at);
        self.states.with(&identity.uid, |state| {
            state.unconfirmed.clear();
            state.conflicts.end();
            state.patched = Some(at);
            state.tracker.triggered(triggered.generation, at);
        });
    }
}

/// The result of a patch.
enum PatchResult {
    /// The workload carries this patch, or an earlier one whose response was lost.
    Applied(Triggered),
    /// The workload was changed concurrently; its current object, if it could be read.
    Conflict(Option<Box<Workload>>),
    /// The workload was deleted.
    Gone,
}

/// The API for workloads of this kind in this namespace.
fn api(client: &Client, workload: &Workload) -> Api<Object> {
    Api::namespaced_with(client.clone(), workload.namespace(), &workload.kind)
}

/// The time of a rollout, which is later than the last one even if the clock was set back: by these times, a rollback is
/// detected.
fn later_than_the_last(workload: &Workload, restarted_at: &str, now: Timestamp) -> Timestamp {
    let last = workload.last_rollout(restarted_at);
    let later = last.and_then(|last| last.checked_add(SignedDuration::from_millis(1)).ok());
    later.map_or(now, |later| now.max(later))
}

/// Lists only the workload of this name: the controller's roles do not permit `get`.
fn by_name(workload: &Workload) -> ListParams {
    let name = workload.meta().name.as_deref().unwrap_or_default();
    ListParams::default().fields(&format!("metadata.name={name}"))
}

/// Whether the workload's `resourceVersion` is newer than this one, or just another if they are not both numbers, which they
/// are for all built-in kinds (<https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-versions>).
fn is_newer(workload: &Workload, than: Option<&Arc<str>>) -> bool {
    let now = workload.resource_version();
    let number =
        |version: Option<&Arc<str>>| version.and_then(|version| version.parse::<u64>().ok());
    match (number(now), number(than)) {
        (Some(now), Some(than)) => now > than,
        _ => now != than,
    }
}

#[cfg(test)]
mod tests;
