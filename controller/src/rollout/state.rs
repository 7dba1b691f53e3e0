//! The state of each selected workload, from the first watch event to the last.

use std::time::Duration;

use ahash::HashMap;
use jiff::Timestamp;
use kube_autorollout_core::{
    backoff::Backoff,
    schedule,
    state::{Reason, State},
};
use parking_lot::Mutex;
use tokio::time::Instant;

use super::{
    Conflicts, UnconfirmedPatches,
    condition::{Condition, Upcoming},
    tracker::Tracker,
};
use crate::{observe::Freshness, workload::identity::Identity};

/// Backoff of failed reconciles.
const RETRY: Backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(60));

/// The state of one workload.
#[derive(Debug, Default)]
pub(crate) struct WorkloadState {
    /// A number that is new each time the workload is selected.
    selection: u64,
    /// Its rollouts.
    pub(crate) tracker: Tracker,
    /// Its consecutive conflicts.
    pub(crate) conflicts: Conflicts,
    /// Patches whose response was lost.
    pub(crate) unconfirmed: UnconfirmedPatches,
    /// Consecutive failures.
    failures: u32,
    /// While a fetch is in flight: the freshness that it must reach, and its start.
    pub(crate) waiting: Option<Box<(Freshness, Instant)>>,
    /// Its condition at the last completed reconcile.
    pub(crate) condition: Option<Condition>,
    /// The time of its last patch.
    pub(crate) patched: Option<Timestamp>,
}

impl WorkloadState {
    /// The reconcile failed, or a registry did; returns when to retry.
    pub(crate) fn failed(&mut self, uid: &str) -> Duration {
        self.failures = self.failures.saturating_add(1);
        self.retry(uid)
    }

    /// When to retry after the failures so far.
    pub(crate) fn retry(&self, uid: &str) -> Duration {
        RETRY.delay(self.failures, schedule::seed(uid))
    }

    /// Records the condition that a reconcile found, which began at that time.
    pub(crate) fn set_condition(
        &mut self,
        condition: (State, Option<Reason>, Option<u8>),
        at: Timestamp,
        upcoming: Upcoming,
    ) {
        let before = self.condition.as_ref();
        self.condition = Some(Condition::new(condition, at, upcoming, before));
    }

    /// The reconcile succeeded.
    pub(crate) const fn succeeded(&mut self) {
        self.failures = 0;
    }
}

/// The states of all selected workloads.
#[derive(Debug, Default)]
pub(crate) struct States(Mutex<Selected>);

#[derive(Debug, Default)]
struct Selected {
    states: HashMap<Identity, Box<WorkloadState>>,
    selections: u64,
}

impl States {
    /// Selects the workload; returns whether it was not selected before.
    pub(crate) fn select(&self, identity: &Identity) -> bool {
        let mut selected = self.0.lock();
        if selected.states.contains_key(identity) {
            return false;
        }
        selected.selections += 1;
        let state = WorkloadState {
            selection: selected.selections,
            ..WorkloadState::default()
        };
        selected.states.insert(identity.clone(), Box::new(state));
        true
    }

    /// Drops the workload's state; returns whether it was selected.
    pub(crate) fn remove(&self, identity: &Identity) -> bool {
        self.0.lock().states.remove(identity).is_some()
    }

    /// The selected workload with this UID.
    pub(crate) fn identity(&self, uid: &str) -> Option<Identity> {
        let selected = self.0.lock();
        let (identity, _) = selected.states.get_key_value(uid)?;
        Some(identity.clone())
    }

    /// Reads or changes a workload's state; `None` if it is not selected.
    pub(crate) fn with<R>(
        &self,
        uid: &str,
        access: impl FnOnce(&mut WorkloadState) -> R,
    ) -> Option<R> {
        let mut selected = self.0.lock();
        selected.states.get_mut(uid).map(|state| access(state))
    }

    /// The selected workload with this UID, and its last condition.
    pub(crate) fn condition(&self, uid: &str) -> Option<(Identity, Option<Condition>)> {
        let selected = self.0.lock();
        let (identity, state) = selected.states.get_key_value(uid)?;
        Some((identity.clone(), state.condition))
    }

    /// The part of the controller's predicate that is not in the object: a new selection requires a reconcile, and a
    /// workload with a conflict waits for its next version.
    pub(crate) fn selection(&self, uid: &str) -> Option<(u64, bool)> {
        self.with(uid, |state| (state.selection, state.conflicts.is_open()))
    }

    /// The API server recovered from an outage, which caused the failures so far: restarts each backoff. Returns whether the
    /// last reconcile of some workload failed.
    pub(crate) fn reset_backoff(&self) -> bool {
        let mut selected = self.0.lock();
        selected.states.values_mut().fold(false, |failed, state| {
            state.failures = state.failures.min(1);
            failed || state.failures > 0
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_consecutive_failure_doubles_the_backoff() {
        let mut state = WorkloadState::default();
        let waits: Vec<_> = (0..12).map(|_| state.failed("web")).collect();
        assert!(waits[0] <= Duration::from_secs(1) && waits[11] > Duration::from_secs(45));
        assert!(
            waits.is_sorted() && waits[11] <= Duration::from_secs(60),
            "{waits:?}"
        );
        state.succeeded();
        assert_eq!(state.failed("web"), waits[0]);
    }

    #[test]
    fn failures_during_an_outage_of_the_api_server_do_not_delay_retries_after_it() {
        let (states, web) = (States::default(), Identity::deployment("shop", "web"));
        states.select(&web);
        let fail = || states.with("web", |state| state.failed("web"));
        let waits: Vec<_> = (0..8).map(|_| fail()).collect();
        assert!(
            states.reset_backoff() && states.reset_backoff(),
            "for each kind"
        );
        assert_eq!(fail(), waits[1]);
    }

    #[test]
    fn a_workload_that_is_selected_again_has_a_new_state() {
        let (states, web) = (States::default(), Identity::deployment("shop", "web"));
        assert!(states.select(&web) && !states.select(&web));
        let first = states.selection("web");
        states.with("web", |state| state.failed("web"));
        assert!(states.reset_backoff() && states.remove(&web));
        assert_eq!(states.with("web", |_| ()), None);
        states.select(&web);
        assert_ne!(states.selection("web"), first);
        assert!(!states.reset_backoff());
    }
}
