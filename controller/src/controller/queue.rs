//! What to reconcile, and when: each workload by one reconcile at a time, and as many at once as there is room for.
//!
//! kube-runtime's `applier` does the same, but polls all reconciles that are under way as soon as one of them can go on,
//! and keeps the names of each workload several times over (`docs/adr/0018-a-queue-of-our-own.md`).

use std::{
    collections::{HashMap, VecDeque},
    pin::pin,
    time::Duration,
};

use futures::{Stream, StreamExt as _, stream::FuturesUnordered};
use tokio_util::time::{DelayQueue, delay_queue};

use crate::workload::identity::Identity;

/// Nothing is put off for longer: a [`DelayQueue`] takes about two years at the most.
const LONGEST: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// In which time a workload is to be reconciled again; if in none, when there is news of it.
pub(crate) type Again = Option<Duration>;

/// Reconciles what there is news of, and again when each reconcile asks for it; ends when the news does and what was
/// begun has ended.
///
/// A workload of which `reconcile` knows nothing is left alone.
pub(crate) async fn work<Reconcile>(
    news: impl Stream<Item = Identity>,
    room: usize,
    reconcile: impl Fn(&Identity) -> Option<Reconcile>,
) where
    Reconcile: Future<Output = Again>,
{
    let mut news = pin!(news);
    let mut queue = Queue::default();
    // Not tasks: the allocator takes megabytes for thousands of them, as each must lie at a multiple of its alignment
    let mut running = FuturesUnordered::new();
    loop {
        while running.len() < room
            && let Some(identity) = queue.begin()
        {
            match reconcile(&identity) {
                Some(reconcile) => running.push(async move { (identity, reconcile.await) }),
                None => queue.end(identity, None),
            }
        }
        tokio::select! {
            identity = news.next() => match identity {
                Some(identity) => queue.ask(identity),
                None => break,
            },
            Some(due) = queue.later.next(), if !queue.later.is_empty() => queue.come(due.into_inner()),
            Some((identity, again)) = running.next() => queue.end(identity, again),
        }
    }
    while running.next().await.is_some() {}
}

/// Where each workload stands that is to be reconciled, or is being.
#[derive(Default)]
struct Queue {
    places: HashMap<Identity, Place>,
    later: DelayQueue<Identity>,
    /// As soon as there is room, in this order.
    now: VecDeque<Identity>,
}

enum Place {
    Later(delay_queue::Key),
    Now,
    /// Being reconciled, and right afterwards again if there was news meanwhile.
    Running {
        again: bool,
    },
}

impl Queue {
    /// The workload is to be reconciled now, or again.
    fn ask(&mut self, identity: Identity) {
        match self.places.get_mut(&identity) {
            Some(Place::Now) => {}
            Some(Place::Running { again }) => *again = true,
            Some(Place::Later(key)) => {
                self.later.remove(key);
                self.come(identity);
            }
            None => self.come(identity),
        }
    }

    /// Its time has come.
    fn come(&mut self, identity: Identity) {
        self.places.insert(identity.clone(), Place::Now);
        self.now.push_back(identity);
    }

    /// The next one, which is reconciled from now on.
    fn begin(&mut self) -> Option<Identity> {
        let identity = self.now.pop_front()?;
        let running = Place::Running { again: false };
        self.places.insert(identity.clone(), running);
        Some(identity)
    }

    /// It is not reconciled any more.
    fn end(&mut self, identity: Identity, again: Again) {
        if let Some(Place::Running { again: true }) = self.places.remove(&identity) {
            self.come(identity);
        } else if let Some(delay) = again {
            let key = self.later.insert(identity.clone(), delay.min(LONGEST));
            self.places.insert(identity, Place::Later(key));
        }
    }
}

#[cfg(test)]
mod tests;
