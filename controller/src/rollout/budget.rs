//! Slots that limit the rollouts in flight, with a queue in which the workload that has been outdated longest comes first.
//!
//! A slot is taken before the patch, and released when a decision finds that no rollout is in flight, or that it makes no
//! progress; at the latest when reconciles have failed for the progress deadline. Rollouts that this process did not trigger
//! (before a restart, or by another replica) take a slot when the watch shows them, and no slot is granted before every watch
//! has listed its workloads. So there may be fewer rollouts than the limit, but never more.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use jiff::Timestamp;
use kube_autorollout_core::{decide::Decision, state::Reason};
use parking_lot::Mutex;

use crate::{
    lookup::Triggers,
    observe::observation::PROGRESS_DEADLINE,
    workload::{Watch, identity::Identity},
};

/// The slots, and the queue for them.
pub(crate) struct Budget {
    /// `None` for no limit; the ledger is then unused.
    limit: Option<usize>,
    triggers: Arc<Triggers>,
    ledger: Mutex<Ledger>,
}

#[derive(Default)]
struct Ledger {
    /// Watches that have not listed their workloads yet.
    unlisted: HashSet<Watch>,
    /// The workloads with a slot by UID, and since when.
    taken: HashMap<Arc<str>, Timestamp>,
    /// The workloads that wait for a slot.
    queue: BTreeMap<Turn, Identity>,
    /// The keys of the queue by UID.
    turns: HashMap<Arc<str>, Turn>,
    /// The time of our last rollout of each workload, as the watch showed it.
    rollouts: HashMap<Arc<str>, Timestamp>,
}

/// Since when a workload is outdated, and its UID.
type Turn = (Timestamp, Arc<str>);

/// A slot for one rollout. It is released on drop unless it is kept.
#[must_use = "the slot is released on drop"]
pub(crate) struct Slot<'a> {
    /// `None` without a limit, or if the workload already had a slot.
    held: Option<(&'a Budget, Identity)>,
}

impl Slot<'_> {
    /// The rollout was triggered: the slot is released by a later decision.
    pub(crate) fn keep(mut self) {
        self.held = None;
    }
}

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        if let Some((budget, identity)) = self.held.take() {
            budget.change(|ledger| {
                ledger.taken.remove(&identity.uid);
            });
        }
    }
}

impl Budget {
    /// All slots are free, but none is granted before these watches have listed their workloads.
    pub(crate) fn new(
        limit: Option<usize>,
        watches: impl IntoIterator<Item = Watch>,
        triggers: Arc<Triggers>,
    ) -> Self {
        let ledger = Ledger {
            unlisted: watches.into_iter().collect(),
            ..Ledger::default()
        };
        Self {
            limit,
            triggers,
            ledger: Mutex::new(ledger),
        }
    }

    /// A watch has listed its workloads, or was refused.
    pub(crate) fn listed(&self, watch: &Watch) {
        self.change(|ledger| {
            ledger.unlisted.remove(watch);
        });
    }

    /// The watch shows a workload: a rollout of ours that is in flight and was not seen before takes a slot.
    pub(crate) fn seen(&self, identity: &Identity, rolled_out: Option<Timestamp>, in_flight: bool) {
        let Some(rolled_out) = rolled_out else {
            return;
        };
        self.change(|ledger| {
            let uid = &identity.uid;
            let before = ledger.rollouts.insert(uid.clone(), rolled_out);
            if in_flight && before != Some(rolled_out) {
                ledger.taken.insert(uid.clone(), rolled_out);
            }
        });
    }

    /// Takes a slot for a workload that has been outdated since that time; `None` enqueues it.
    pub(crate) fn take(
        &self,
        identity: &Identity,
        outdated: Timestamp,
        now: Timestamp,
    ) -> Option<Slot<'_>> {
        let Some(limit) = self.limit else {
            return Some(Slot { held: None });
        };
        let mut ledger = self.ledger.lock();
        let uid = &identity.uid;
        if ledger.taken.contains_key(uid) {
            // Its last rollout is stuck, and this one inherits the slot.
            return Some(Slot { held: None });
        }
        ledger.enqueue(identity, outdated);
        if !ledger.next(limit).contains(identity) {
            return None;
        }
        ledger.dequeue(uid);
        ledger.taken.insert(uid.clone(), now);
        Some(Slot {
            held: Some((self, identity.clone())),
        })
    }

    /// Releases the slot, or leaves the queue, as the decision permits.
    pub(crate) fn decided(&self, identity: &Identity, decision: &Decision) {
        self.change(|ledger| {
            if !decision.in_flight {
                ledger.taken.remove(&identity.uid);
            }
            if decision.reason != Some(Reason::WaitingForBudget) {
                ledger.dequeue(&identity.uid);
            }
        });
    }

    /// A reconcile failed: the workload leaves the queue, so that it blocks no other, and keeps its slot until the progress
    /// deadline.
    pub(crate) fn reconcile_failed(&self, identity: &Identity, now: Timestamp) {
        self.change(|ledger| {
            ledger.dequeue(&identity.uid);
            let recent = |since: Timestamp| now.duration_since(since).abs() < PROGRESS_DEADLINE;
            ledger
                .taken
                .retain(|uid, since| *uid != identity.uid || recent(*since));
        });
    }

    /// The workload is invalid: it leaves the queue and its slot, and a rollout of it that is known takes none again.
    pub(crate) fn release(&self, identity: &Identity) {
        self.change(|ledger| ledger.release(&identity.uid));
    }

    /// The workload is no longer selected.
    pub(crate) fn forget(&self, identity: &Identity) {
        self.change(|ledger| {
            ledger.release(&identity.uid);
            ledger.rollouts.remove(&identity.uid);
        });
    }

    /// Changes the ledger, and triggers the workloads that can have a slot then.
    fn change(&self, change: impl FnOnce(&mut Ledger)) {
        let Some(limit) = self.limit else {
            return;
        };
        let mut ledger = self.ledger.lock();
        let before = ledger.next(limit);
        change(&mut ledger);
        let after = ledger.next(limit);
        drop(ledger);
        self.triggers.send(after.difference(&before));
    }
}

impl Ledger {
    /// The number of free slots.
    fn free(&self, limit: usize) -> usize {
        if self.unlisted.is_empty() {
            limit.saturating_sub(self.taken.len())
        } else {
            0
        }
    }

    /// The workloads at the head of the queue that could have a slot now.
    fn next(&self, limit: usize) -> HashSet<Identity> {
        self.queue
            .values()
            .take(self.free(limit))
            .cloned()
            .collect()
    }

    fn enqueue(&mut self, identity: &Identity, outdated: Timestamp) {
        self.dequeue(&identity.uid);
        let turn = (outdated, identity.uid.clone());
        self.turns.insert(identity.uid.clone(), turn.clone());
        self.queue.insert(turn, identity.clone());
    }

    /// Leaves the queue and the slot.
    fn release(&mut self, uid: &str) {
        self.dequeue(uid);
        self.taken.remove(uid);
    }

    fn dequeue(&mut self, uid: &str) {
        if let Some(turn) = self.turns.remove(uid) {
            self.queue.remove(&turn);
        }
    }
}

#[cfg(test)]
mod tests;
