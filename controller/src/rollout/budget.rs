//! Slots for rollouts in flight: so many at once, and who has been outdated for longest comes first.
//!
//! A slot is taken before the patch and given back when a decision finds that no rollout is in flight, or that it makes no
//! progress; at the latest when nothing could be decided for as long as a rollout may take without progress. Rollouts that
//! this process has not begun (its own before a restart, those of another replica) take theirs when the watch shows them,
//! and none is given away before every workload has been listed once. So there may be fewer rollouts than the limit, and
//! never more.

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

/// The slots, and who waits for one.
pub(crate) struct Budget {
    /// Nothing stands for no limit, and then nothing is kept.
    limit: Option<usize>,
    triggers: Arc<Triggers>,
    ledger: Mutex<Ledger>,
}

#[derive(Default)]
struct Ledger {
    /// Watches that have not listed their workloads yet.
    unlisted: HashSet<Watch>,
    /// Who has a slot, by UID, and since when.
    taken: HashMap<Arc<str>, Timestamp>,
    /// Who waits, by since when it is outdated.
    queue: BTreeMap<Turn, Identity>,
    /// The turns of those who wait, by UID.
    turns: HashMap<Arc<str>, Turn>,
    /// When each workload was last rolled out by us, as the watch has shown it.
    rollouts: HashMap<Arc<str>, Timestamp>,
}

/// Since when a workload is outdated, and its UID.
type Turn = (Timestamp, Arc<str>);

/// A slot for one rollout, which is given back unless it is kept.
#[must_use = "it is given back when it is dropped"]
pub(crate) struct Slot<'a> {
    /// Nothing where slots are not counted, or where it is that of a rollout before.
    held: Option<(&'a Budget, Identity)>,
}

impl Slot<'_> {
    /// The rollout has begun: the slot is taken until a decision finds it over.
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
    /// No rollout in flight yet, as far as is known before these watches have listed their workloads.
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

    /// A watch has listed its workloads, or will not.
    pub(crate) fn listed(&self, watch: &Watch) {
        self.change(|ledger| {
            ledger.unlisted.remove(watch);
        });
    }

    /// The watch shows a workload, when we `rolled_out` it last, and whether a rollout is in flight: if it is in flight
    /// since another time than before, it is one of ours, and has a slot.
    pub(crate) fn seen(&self, identity: &Identity, rolled_out: Option<Timestamp>, in_flight: bool) {
        self.change(|ledger| {
            ledger.see(identity, rolled_out, in_flight);
        });
    }

    /// A slot for a workload that has been outdated since then, or else a turn in the queue.
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
            // Its own rollout is stuck, and this one takes its slot.
            return Some(Slot { held: None });
        }
        ledger.enter(identity, outdated);
        if !ledger.next(limit).contains(identity) {
            return None;
        }
        ledger.leave(uid);
        ledger.taken.insert(uid.clone(), now);
        Some(Slot {
            held: Some((self, identity.clone())),
        })
    }

    /// What was decided of a workload shows whether it still needs its slot or its turn.
    pub(crate) fn decided(&self, identity: &Identity, decision: &Decision) {
        self.change(|ledger| {
            if !decision.in_flight {
                ledger.taken.remove(&identity.uid);
            }
            if decision.reason != Some(Reason::WaitingForBudget) {
                ledger.leave(&identity.uid);
            }
        });
    }

    /// Nothing could be decided of a workload: it holds up nobody who waits behind it, and has its slot for as long as a
    /// rollout may take without progress.
    pub(crate) fn gave_up(&self, identity: &Identity, now: Timestamp) {
        self.change(|ledger| {
            ledger.leave(&identity.uid);
            let lately = |since: Timestamp| now.duration_since(since).abs() < PROGRESS_DEADLINE;
            ledger
                .taken
                .retain(|uid, since| *uid != identity.uid || lately(*since));
        });
    }

    /// A workload is left alone from now on.
    pub(crate) fn forget(&self, identity: &Identity) {
        self.change(|ledger| {
            ledger.leave(&identity.uid);
            ledger.taken.remove(&identity.uid);
            ledger.rollouts.remove(&identity.uid);
        });
    }

    /// Changes who has what, and wakes those whose turn it is then.
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
    /// How many slots are free.
    fn free(&self, limit: usize) -> usize {
        if self.unlisted.is_empty() {
            limit.saturating_sub(self.taken.len())
        } else {
            0
        }
    }

    /// Those who wait and could have a slot now.
    fn next(&self, limit: usize) -> HashSet<Identity> {
        self.queue
            .values()
            .take(self.free(limit))
            .cloned()
            .collect()
    }

    /// Takes a slot for a rollout of ours that is in flight since another time than was known before.
    fn see(&mut self, identity: &Identity, rolled_out: Option<Timestamp>, in_flight: bool) {
        let Some(rolled_out) = rolled_out else {
            return;
        };
        let uid = &identity.uid;
        let before = self.rollouts.insert(uid.clone(), rolled_out);
        if in_flight && before != Some(rolled_out) {
            self.taken.insert(uid.clone(), rolled_out);
        }
    }

    fn enter(&mut self, identity: &Identity, outdated: Timestamp) {
        self.leave(&identity.uid);
        let turn = (outdated, identity.uid.clone());
        self.turns.insert(identity.uid.clone(), turn.clone());
        self.queue.insert(turn, identity.clone());
    }

    fn leave(&mut self, uid: &str) {
        if let Some(turn) = self.turns.remove(uid) {
            self.queue.remove(&turn);
        }
    }
}

#[cfg(test)]
mod tests;
