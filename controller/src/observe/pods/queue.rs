//! The requests for pods that wait in one namespace, and the pause between its lists.

use std::{collections::HashMap, mem, sync::Arc, time::Duration};

use jiff::Timestamp;
use parking_lot::Mutex;
use tokio::{
    sync::Notify,
    time::{self, Instant},
};

use super::{
    PodFreshness,
    snapshot::{HistoryRequest, Snapshot},
};
use crate::{clock, lookup::Waiter, workload::Workload};

/// How long a list of a whole namespace is kept for later requests.
pub(super) const HELD: Duration = Duration::from_secs(10);

/// The pause between two lists of a whole namespace: each costs the API server as much as many patches do, and while
/// everything is rolled out a request for the next one always waits.
const PAUSE: Pause = Pause {
    min: Duration::from_secs(2),
    factor: 4,
};

/// The same where a rollout waits for it.
const SHORT_PAUSE: Pause = Pause {
    min: Duration::from_millis(300),
    factor: 1,
};

/// The requests of one namespace.
#[derive(Default)]
pub(super) struct Namespace {
    pub(super) queue: Mutex<Queue>,
    /// The last list of the whole namespace.
    pub(super) whole: Mutex<Option<Arc<Snapshot>>>,
    /// Notified when an urgent request is added.
    pub(super) urgent: Notify,
}

#[derive(Default)]
pub(super) struct Queue {
    /// A task serves the requests.
    is_running: bool,
    /// By the UIDs of the workloads: when a leader starts, all of them wait.
    requests: HashMap<Box<str>, Request>,
    in_flight: Option<Batch>,
}

/// The requests whose lists are in flight.
struct Batch {
    started_at: Timestamp,
    started: Instant,
    /// By the UIDs of the workloads.
    waiters: HashMap<Box<str>, VersionWaiters>,
}

/// The `resourceVersion` of a workload whose lists are in flight, and its waiters.
type VersionWaiters = (Option<Arc<str>>, Vec<Waiter>);

/// What a request needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Requirements {
    /// The objects that show the current template and earlier ones, unless they are known already.
    pub(super) history: Option<HistoryRequest>,
    pub(super) freshness: PodFreshness,
    /// A rollout waits for it: the pause before the next list is short.
    pub(super) urgent: bool,
    /// Other workloads of the namespace need a list, too: one of the whole namespace serves all.
    pub(super) whole: bool,
}

/// A request for the pods of one workload.
pub(super) struct Request {
    pub(super) workload: Workload,
    pub(super) selector: String,
    pub(super) requirements: Requirements,
    pub(super) waiters: Vec<Waiter>,
}

impl Queue {
    /// Adds a request, or only its waiter where the lists in flight will satisfy it.
    pub(super) fn add(
        &mut self,
        workload: &Workload,
        selector: &str,
        requirements: Requirements,
        waiter: &Waiter,
    ) {
        if let Some(batch) = &mut self.in_flight
            && requirements
                .freshness
                .is_met_by(batch.started, batch.started_at)
            && let Some((version, waiters)) = batch.waiters.get_mut(workload.uid())
            && version.as_ref() == workload.resource_version()
        {
            waiters.push(waiter.clone());
        } else if let Some(request) = self.requests.get_mut(workload.uid()) {
            request.workload = workload.clone();
            let before = mem::replace(&mut request.requirements, requirements);
            request.requirements.urgent |= before.urgent;
            request.requirements.whole |= before.whole;
            if !request.waiters.contains(waiter) {
                request.waiters.push(waiter.clone());
            }
        } else {
            let request = Request {
                workload: workload.clone(),
                selector: selector.to_owned(),
                requirements,
                waiters: vec![waiter.clone()],
            };
            self.requests.insert(workload.uid().into(), request);
        }
    }

    fn is_urgent(&self) -> bool {
        let mut requests = self.requests.values();
        requests.any(|request| request.requirements.urgent)
    }

    /// Marks the queue as served by a task; returns whether it was not before.
    pub(super) fn start(&mut self) -> bool {
        !mem::replace(&mut self.is_running, true)
    }

    /// Whether a task serves the queue.
    pub(super) const fn is_running(&self) -> bool {
        self.is_running
    }

    /// Whether the queue is empty, and so its task ends.
    pub(super) fn stop_if_empty(&mut self) -> bool {
        self.is_running = !self.requests.is_empty();
        !self.is_running
    }

    /// Removes and returns the requests that a list satisfies.
    pub(super) fn satisfied_by(&mut self, snapshot: &Snapshot) -> Vec<Request> {
        let satisfied = |_: &_, request: &mut Request| {
            snapshot.satisfies(request.requirements.freshness, request.requirements.history)
        };
        let requests = self.requests.extract_if(satisfied);
        requests.map(|(_, request)| request).collect()
    }

    /// Removes and returns all requests, whose lists are in flight from now on.
    pub(super) fn begin(&mut self) -> Vec<Request> {
        let requests = mem::take(&mut self.requests);
        let waiters = requests.iter().map(|(uid, request)| {
            let version = request.workload.resource_version().cloned();
            (uid.clone(), (version, request.waiters.clone()))
        });
        self.in_flight = Some(Batch {
            started_at: clock::now(),
            started: Instant::now(),
            waiters: waiters.collect(),
        });
        requests.into_values().collect()
    }

    /// Ends the lists in flight; returns the waiters to wake.
    pub(super) fn end(&mut self) -> Vec<Waiter> {
        let batch = self.in_flight.take().into_iter();
        let waiters = batch.flat_map(|batch| batch.waiters.into_values());
        waiters.flat_map(|(_, waiters)| waiters).collect()
    }
}

/// A pause between two lists of a namespace.
#[derive(Clone, Copy)]
struct Pause {
    min: Duration,
    /// A multiple of the time that the last list took, as a large one, or a busy API server, needs a longer pause, up to
    /// [`HELD`].
    factor: u32,
}

impl Pause {
    fn after(self, took: Duration) -> Duration {
        self.min.max(took * self.factor).min(HELD)
    }
}

impl Namespace {
    /// Waits until the next list may follow the last list of the whole namespace; requests gather meanwhile.
    pub(super) async fn pause(&self) {
        let last = self
            .whole
            .lock()
            .as_ref()
            .map(|last| (last.started, last.took));
        let Some((started, took)) = last else {
            return;
        };
        loop {
            let urgent = self.queue.lock().is_urgent();
            let pause = if urgent { SHORT_PAUSE } else { PAUSE };
            tokio::select! {
                () = time::sleep_until(started + took + pause.after(took)) => return,
                () = self.urgent.notified(), if !urgent => {}
            }
        }
    }
}
