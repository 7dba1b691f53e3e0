//! Lists pods for many workloads at once.
//!
//! Few workloads that wait are served by a list of their own each; many, at a start or after a tag that they share has
//! moved, by one list of their namespace, which serves those who come later, too, as long as it is recent enough for
//! them. Who needs certainty before a rollout does not wait for others on purpose: the others do, while one list of
//! the namespace follows the other.

use std::{
    collections::HashMap,
    panic::{self, AssertUnwindSafe},
    sync::Arc,
};

use futures::future;
use kube::Client;
use parking_lot::Mutex;

use super::{
    Error, Pods,
    answer::Answer,
    kept::KeptPods,
    list::list,
    waiting::{HELD, Namespace, Waiting, Wanted},
};
use crate::{
    lookup::{Fetches, Waiter},
    workload::Workload,
};

/// Up to so many workloads are read with a list of their own each.
const FEW: usize = 4;

/// Reads pods and histories in batches: of each namespace by one task, as long as somebody waits there.
pub(super) struct Reader {
    client: Client,
    /// The annotation that holds the instant of a rollout.
    restarted_at: &'static str,
    fetches: Fetches,
    kept: KeptPods,
    namespaces: Mutex<HashMap<Arc<str>, Arc<Namespace>>>,
}

impl Reader {
    /// A reader for all namespaces.
    pub(super) fn new(client: Client, restarted_at: &'static str, fetches: Fetches) -> Arc<Self> {
        Arc::new(Self {
            client,
            restarted_at,
            fetches,
            kept: KeptPods::default(),
            namespaces: Mutex::default(),
        })
    }

    /// What was read.
    pub(super) fn kept(&self) -> &KeptPods {
        &self.kept
    }

    /// Reads the pods that the selector finds and the history of their owners, or more, and wakes the waiter then; returns
    /// what they are if a list that was made already serves.
    ///
    /// # Errors
    ///
    /// [`Error`] when that list holds an object of the workload that cannot be read.
    pub(super) fn request(
        self: &Arc<Self>,
        workload: &Workload,
        selector: String,
        wanted: Wanted,
        waiter: &Waiter,
    ) -> Result<Option<Arc<Pods>>, Error> {
        let name = workload.namespace();
        let namespace = self.namespace(name);
        if let Some(whole) = namespace.served(wanted) {
            return self.keep(workload, wanted, &whole).map(Some);
        }
        let mut queue = namespace.queue.lock();
        queue.add(workload, selector, wanted, waiter);
        if wanted.urgent {
            namespace.urgent.notify_one();
        }
        if queue.start() {
            let (reader, name, namespace) =
                (Arc::clone(self), name.to_owned(), Arc::clone(&namespace));
            self.fetches
                .spawn(async move { reader.run(&name, &namespace).await });
        }
        Ok(None)
    }

    /// Drops lists that are too old to serve anybody, and namespaces where nobody waits.
    pub(super) fn tidy(&self) {
        self.namespaces.lock().retain(|_, namespace| {
            let mut whole = namespace.whole.lock();
            whole.take_if(|whole| whole.at.elapsed() > HELD);
            whole.is_some() || namespace.queue.lock().is_running()
        });
    }

    /// How many namespaces are known.
    #[cfg(test)]
    pub(super) fn namespaces(&self) -> usize {
        self.namespaces.lock().len()
    }

    /// Reads for those who wait in a namespace until nobody does.
    async fn run(&self, name: &str, namespace: &Namespace) {
        loop {
            self.settle(namespace);
            if namespace.queue.lock().is_over() {
                return;
            }
            namespace.pause().await;
            let batch = namespace.queue.lock().begin();
            self.serve(name, namespace, batch).await;
        }
    }

    async fn serve(&self, name: &str, namespace: &Namespace, batch: Vec<Waiting>) {
        let whole = batch.len() > FEW || batch.iter().any(|waiting| waiting.wanted.whole);
        if whole {
            let histories = batch.iter().filter_map(|waiting| waiting.wanted.history);
            let all = list(&self.client, name, "", histories).await;
            *namespace.whole.lock() = all.as_ref().ok().cloned();
            if let Ok(all) = &all
                && batch.iter().any(|waiting| waiting.wanted.whole)
            {
                self.kept.refresh(name, all);
            }
            for waiting in batch {
                self.answer(&waiting.workload, waiting.wanted, &all);
            }
        } else {
            let each = batch.into_iter().map(|waiting| async move {
                let histories = waiting.wanted.history.into_iter();
                let selected = list(&self.client, name, &waiting.selector, histories).await;
                self.answer(&waiting.workload, waiting.wanted, &selected);
            });
            future::join_all(each).await;
        }
        let waiters = namespace.queue.lock().end();
        Waiter::wake(&waiters, &self.fetches.triggers);
    }

    /// Answers those who wait and are served by the last list of the namespace: it began after they came.
    fn settle(&self, namespace: &Namespace) {
        let mut queue = namespace.queue.lock();
        let served = queue.take(|waiting| namespace.served(waiting.wanted).is_some());
        drop(queue);
        let whole = namespace.whole.lock().clone();
        for Waiting {
            workload,
            wanted,
            waiters,
            ..
        } in served
        {
            if let Some(whole) = &whole {
                self.answer(&workload, wanted, &Ok(Arc::clone(whole)));
            }
            Waiter::wake(&waiters, &self.fetches.triggers);
        }
    }

    /// Keeps what a list says of a workload, or why it says nothing.
    fn answer(&self, workload: &Workload, wanted: Wanted, answer: &Result<Arc<Answer>, Error>) {
        // A panic concerns this workload only, and not all who wait with it.
        let kept = panic::catch_unwind(AssertUnwindSafe(|| {
            let answer = answer.as_ref().map_err(Clone::clone)?;
            self.keep(workload, wanted, answer).map(drop)
        }));
        if let Err(error) = kept.unwrap_or(Err(Error::Panicked)) {
            self.kept.fail(workload, error);
        }
    }

    fn keep(
        &self,
        workload: &Workload,
        wanted: Wanted,
        answer: &Answer,
    ) -> Result<Arc<Pods>, Error> {
        // Where the template stands in its history does not change without the workload.
        let current = match self.kept.current(workload) {
            Some(current) => Some(current),
            None => answer.current(workload)?,
        };
        let undone = match self.kept.undone(workload) {
            Some(undone) => Some(undone),
            None => answer.undone(workload, self.restarted_at, wanted.since.templates)?,
        };
        self.kept.keep(workload, (current, undone), answer)
    }

    fn namespace(&self, name: &str) -> Arc<Namespace> {
        let mut namespaces = self.namespaces.lock();
        if let Some(namespace) = namespaces.get(name) {
            return Arc::clone(namespace);
        }
        Arc::clone(namespaces.entry(name.into()).or_default())
    }
}
