//! What is remembered of the selected workloads: one record each, from the first watch event to the last.

use std::time::Duration;

use ahash::HashMap;
use jiff::Timestamp;
use kube_autorollout_core::{
    backoff::Backoff,
    schedule,
    state::{self as core, Reason},
};
use parking_lot::Mutex;
use tokio::time::Instant;

use super::{
    Conflicts, Unconfirmed,
    standing::{Again, Standing},
    tracker::Tracker,
};
use crate::{observe::Freshness, workload::identity::Identity};

/// How soon a failed reconcile is tried again, and at the latest.
const RETRY: Backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(60));

/// What is remembered of one workload.
#[derive(Debug, Default)]
pub(crate) struct State {
    /// Its rollouts.
    pub(crate) tracker: Tracker,
    /// Patches that came too late.
    pub(crate) conflicts: Conflicts,
    /// Patches whose answer was lost.
    pub(crate) unconfirmed: Unconfirmed,
    /// How many times in a row nothing could be decided.
    failures: u32,
    /// What is being fetched for it: how fresh that must be, and since when.
    pub(crate) waiting: Option<Box<(Freshness, Instant)>>,
    /// What it was last found to be, if it was decided.
    pub(crate) standing: Option<Standing>,
    /// When its last patch was sent.
    pub(super) patched: Option<Timestamp>,
}

impl State {
    /// Nothing could be decided, or a registry did not answer; returns when to try again.
    pub(crate) fn failed(&mut self, uid: &str) -> Duration {
        self.failures = self.failures.saturating_add(1);
        self.retry(uid)
    }

    /// When to try again after the failures so far.
    pub(crate) fn retry(&self, uid: &str) -> Duration {
        RETRY.delay(self.failures, schedule::seed(uid))
    }

    /// It was found to be this, by a reconcile that began at that instant.
    pub(crate) fn stands(
        &mut self,
        found: (core::State, Option<Reason>, Option<u8>),
        at: Timestamp,
        again: Again,
    ) {
        let standing = Standing::found(found, (at, again), self.standing.as_ref());
        self.standing = Some(standing);
    }

    /// It was decided.
    pub(crate) const fn succeeded(&mut self) {
        self.failures = 0;
    }
}

/// The records of all selected workloads.
#[derive(Debug, Default)]
pub(crate) struct States(Mutex<Records>);

#[derive(Debug, Default)]
struct Records {
    all: HashMap<Identity, Box<Record>>,
    selections: u64,
}

#[derive(Debug)]
struct Record {
    /// A number that a workload gets each time that it is selected.
    selection: u64,
    state: State,
}

impl States {
    /// The workload is selected; returns whether it was not before.
    pub(crate) fn select(&self, identity: &Identity) -> bool {
        let mut records = self.0.lock();
        if records.all.contains_key(identity) {
            return false;
        }
        records.selections += 1;
        let record = Record {
            selection: records.selections,
            state: State::default(),
        };
        records.all.insert(identity.clone(), Box::new(record));
        true
    }

    /// The workload is not selected any more; returns whether it was.
    pub(crate) fn remove(&self, identity: &Identity) -> bool {
        self.0.lock().all.remove(identity).is_some()
    }

    /// The selected workload of this UID.
    pub(crate) fn identity(&self, uid: &str) -> Option<Identity> {
        let records = self.0.lock();
        let (identity, _) = records.all.get_key_value(uid)?;
        Some(identity.clone())
    }

    /// Changes or reads what is remembered of a workload; nothing where it is not selected.
    pub(crate) fn with<R>(&self, uid: &str, change: impl FnOnce(&mut State) -> R) -> Option<R> {
        let mut records = self.0.lock();
        records
            .all
            .get_mut(uid)
            .map(|record| change(&mut record.state))
    }

    /// The selected workload of this UID, and what it was last found to be.
    pub(crate) fn found(&self, uid: &str) -> Option<(Identity, Option<Standing>)> {
        let records = self.0.lock();
        let (identity, record) = records.all.get_key_value(uid)?;
        Some((identity.clone(), record.state.standing))
    }

    /// What the workload was last found to be, and when its last patch was sent; nothing where it is not selected.
    pub(crate) fn last(&self, uid: &str) -> Option<(Option<Standing>, Option<Timestamp>)> {
        self.with(uid, |state| (state.standing, state.patched))
    }

    /// What else than the object itself makes a change of it worth a reconcile: that it was selected anew, or that its next
    /// version is waited for.
    pub(crate) fn selection(&self, uid: &str) -> Option<(u64, bool)> {
        let records = self.0.lock();
        let record = records.all.get(uid)?;
        Some((record.selection, record.state.conflicts.is_open()))
    }

    /// The API server answers again: returns whether some workload could not be decided the last time. Their
    /// retries begin anew, as those failures were the API server's.
    pub(crate) fn recovered(&self) -> bool {
        let mut records = self.0.lock();
        let states = records.all.values_mut().map(|record| &mut record.state);
        states.fold(false, |failed, state| {
            state.failures = state.failures.min(1);
            failed || state.failures > 0
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_failure_in_a_row_doubles_the_wait() {
        let mut state = State::default();
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
    fn failures_while_the_api_server_was_away_delay_no_retry_after_it_is_back() {
        let (states, web) = (States::default(), Identity::deployment("shop", "web"));
        states.select(&web);
        let fail = || states.with("web", |state| state.failed("web"));
        let waits: Vec<_> = (0..8).map(|_| fail()).collect();
        assert!(states.recovered() && states.recovered(), "for each kind");
        assert_eq!(fail(), waits[1]);
    }

    #[test]
    fn a_workload_that_is_selected_again_is_another() {
        let (states, web) = (States::default(), Identity::deployment("shop", "web"));
        assert!(states.select(&web) && !states.select(&web));
        let first = states.selection("web");
        states.with("web", |state| state.failed("web"));
        assert!(states.recovered() && states.remove(&web));
        assert_eq!(states.with("web", |_| ()), None);
        states.select(&web);
        assert_ne!(states.selection("web"), first);
        assert!(!states.recovered());
    }
}
