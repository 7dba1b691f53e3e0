//! Who waits for the pods of one namespace, and how long.

use std::{collections::HashMap, mem, sync::Arc, time::Duration};

use jiff::Timestamp;
use parking_lot::Mutex;
use tokio::{
    sync::Notify,
    time::{self, Instant},
};

use super::answer::{Answer, PastTemplates, Since};
use crate::{clock, lookup::Waiter, workload::Workload};

/// How long a list of a whole namespace is held for those who come later.
pub(super) const HELD: Duration = Duration::from_secs(10);

/// How soon one list of a whole namespace follows the end of the other: each costs the API server as much as many
/// patches do, and while everything is rolled out somebody always waits for the next.
const PAUSE: Pause = Pause {
    least: Duration::from_secs(2),
    times: 4,
};

/// The same where a rollout waits for it.
const SHORT_PAUSE: Pause = Pause {
    least: Duration::from_millis(300),
    times: 1,
};

/// Who waits in one namespace.
#[derive(Default)]
pub(super) struct Namespace {
    pub(super) queue: Mutex<Queue>,
    /// The last list of all of it.
    pub(super) whole: Mutex<Option<Arc<Answer>>>,
    /// Somebody has come who must not wait for others.
    pub(super) urgent: Notify,
}

#[derive(Default)]
pub(super) struct Queue {
    /// A task reads for those who wait.
    is_running: bool,
    /// By the UIDs of the workloads: at the start of a leader, all of them wait.
    waiting: HashMap<Box<str>, Waiting>,
    /// For whom lists are under way.
    served: Option<Batch>,
}

/// The version of a workload for which lists are under way, and whom to wake.
type Served = (Option<Arc<str>>, Vec<Waiter>);

/// Those for whom lists are under way.
struct Batch {
    begun: Timestamp,
    at: Instant,
    /// By the UIDs of the workloads.
    waiting: HashMap<Box<str>, Served>,
}

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Wanted {
    /// The objects that show the current template and those before it, where that is not known already.
    pub(super) history: Option<PastTemplates>,
    /// Lists that began earlier are of no use.
    pub(super) since: Since,
    /// It must not wait for others.
    pub(super) urgent: bool,
    /// Others are known to need a list of the namespace as well.
    pub(super) whole: bool,
}

pub(super) struct Waiting {
    pub(super) workload: Workload,
    pub(super) selector: String,
    pub(super) wanted: Wanted,
    pub(super) waiters: Vec<Waiter>,
}

impl Queue {
    pub(super) fn add(
        &mut self,
        workload: &Workload,
        selector: String,
        wanted: Wanted,
        waiter: &Waiter,
    ) {
        let version = workload.resource_version();
        if let Some(batch) = &mut self.served
            && batch.at >= wanted.since.at
            && wanted
                .since
                .asked
                .is_none_or(|asked| clock::is_since(batch.begun, asked))
            && let Some((served, waiters)) = batch.waiting.get_mut(workload.uid())
            && served.as_ref() == version
        {
            waiters.push(waiter.clone());
            return;
        }
        let Some(waiting) = self.waiting.get_mut(workload.uid()) else {
            let waiting = Waiting {
                workload: workload.clone(),
                selector,
                wanted,
                waiters: vec![waiter.clone()],
            };
            self.waiting.insert(workload.uid().into(), waiting);
            return;
        };
        waiting.workload = workload.clone();
        let before = mem::replace(&mut waiting.wanted, wanted);
        waiting.wanted.urgent |= before.urgent;
        waiting.wanted.whole |= before.whole;
        if !waiting.waiters.contains(waiter) {
            waiting.waiters.push(waiter.clone());
        }
    }

    fn is_urgent(&self) -> bool {
        self.waiting.values().any(|waiting| waiting.wanted.urgent)
    }

    /// A task reads from now on; returns whether none did before.
    pub(super) fn start(&mut self) -> bool {
        !mem::replace(&mut self.is_running, true)
    }

    /// Whether a task reads.
    pub(super) const fn is_running(&self) -> bool {
        self.is_running
    }

    /// Takes those of whom `is_served` holds.
    pub(super) fn take(&mut self, is_served: impl Fn(&Waiting) -> bool) -> Vec<Waiting> {
        let served = self.waiting.extract_if(|_, waiting| is_served(waiting));
        served.map(|(_, waiting)| waiting).collect()
    }

    /// The lists have ended; returns whom to wake.
    pub(super) fn end(&mut self) -> Vec<Waiter> {
        let served = self.served.take().into_iter();
        let served = served.flat_map(|batch| batch.waiting.into_values());
        served.flat_map(|(_, waiters)| waiters).collect()
    }

    /// Whether nobody waits any more, and so the task ends.
    pub(super) fn is_over(&mut self) -> bool {
        self.is_running = !self.waiting.is_empty();
        !self.is_running
    }

    /// Takes those who wait.
    pub(super) fn begin(&mut self) -> Vec<Waiting> {
        let batch = mem::take(&mut self.waiting);
        let waiting = batch.iter().map(|(uid, waiting)| {
            let version = waiting.workload.resource_version().cloned();
            (uid.clone(), (version, waiting.waiters.clone()))
        });
        self.served = Some(Batch {
            begun: clock::now(),
            at: Instant::now(),
            waiting: waiting.collect(),
        });
        batch.into_values().collect()
    }
}

/// A pause between two lists of a namespace.
#[derive(Clone, Copy)]
struct Pause {
    least: Duration,
    /// So many times as long as the list took, as a large one, or a busy API server, needs more; but not longer than it
    /// is [`HELD`].
    times: u32,
}

impl Pause {
    fn after(self, took: Duration) -> Duration {
        self.least.max(took * self.times).min(HELD)
    }
}

impl Namespace {
    /// While one list of the namespace follows the other, those who wait wait for each other.
    pub(super) async fn pause(&self) {
        let last = self.whole.lock().as_ref().map(|last| (last.at, last.took));
        let Some((at, took)) = last else {
            return;
        };
        loop {
            let urgent = self.queue.lock().is_urgent();
            let pause = if urgent { SHORT_PAUSE } else { PAUSE };
            tokio::select! {
                () = time::sleep_until(at + took + pause.after(took)) => return,
                () = self.urgent.notified(), if !urgent => {}
            }
        }
    }

    /// The last list of the namespace, if it serves.
    pub(super) fn served(&self, wanted: Wanted) -> Option<Arc<Answer>> {
        let whole = self.whole.lock();
        let whole = whole.as_ref();
        whole
            .filter(|whole| whole.serves(wanted.since, wanted.history))
            .cloned()
    }
}
