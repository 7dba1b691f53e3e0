//! A cache whose values are fetched once for all waiters, in tasks of their own.

use std::{hash::Hash, sync::Arc, time::Duration};

use ahash::{HashMap, HashSet};
use parking_lot::Mutex;
use tokio::time::Instant;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{Triggers, Waiter};

/// Runs fetches, and has the triggers for the workloads that wait for them.
#[derive(Clone)]
pub(crate) struct Fetches {
    pub(crate) triggers: Arc<Triggers>,
    stop: CancellationToken,
    /// Unlike a `JoinSet`, it stores nothing of tasks that have ended.
    tasks: TaskTracker,
}

impl Fetches {
    /// Fetches that are cancelled together.
    pub(crate) fn new(triggers: Arc<Triggers>, stop: CancellationToken) -> Self {
        Self {
            triggers,
            stop,
            tasks: TaskTracker::new(),
        }
    }

    /// Runs a fetch until it ends or all are cancelled.
    pub(crate) fn spawn(&self, fetch: impl Future<Output = ()> + Send + 'static) {
        // Boxed, as a future that awaits another one holds it twice.
        let fetch = Box::pin(fetch);
        let stop = self.stop.clone();
        self.tasks
            .spawn(async move { stop.run_until_cancelled(fetch).await });
    }
}

/// A callback with the key, the value before a fetch, and the fetched one.
type OnFetched<K, V> = Box<dyn Fn(&K, Option<&V>, &V) + Send + Sync>;

/// A cache of values that are fetched by one task for all waiters of a key.
pub(crate) struct SingleFlight<K, V> {
    fetches: Fetches,
    entries: Mutex<HashMap<K, Entry<V>>>,
    on_fetched: OnFetched<K, V>,
}

struct Entry<V> {
    value: Option<V>,
    /// The start of the fetch in flight, and its waiters.
    in_flight: Option<(Instant, HashSet<Waiter>)>,
    last_lookup: Instant,
}

impl<K, V> SingleFlight<K, V>
where
    K: Clone + Eq + Hash + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// An empty cache.
    pub(crate) fn new(fetches: Fetches) -> Arc<Self> {
        Self::with_callback(fetches, |_, _, _| {})
    }

    /// An empty cache with a callback after each fetch, before its waiters are woken.
    pub(crate) fn with_callback(
        fetches: Fetches,
        on_fetched: impl Fn(&K, Option<&V>, &V) + Send + Sync + 'static,
    ) -> Arc<Self> {
        Arc::new(Self {
            fetches,
            entries: Mutex::default(),
            on_fetched: Box::new(on_fetched),
        })
    }

    /// The value, if it is fresh. Otherwise it is fetched, and the waiter is woken when the fetch has ended, even if it
    /// panicked or was cancelled. `fetch` gets the last value.
    pub(crate) fn lookup<F>(
        self: &Arc<Self>,
        key: &K,
        waiter: &Waiter,
        is_fresh: impl FnOnce(&V) -> bool,
        fetch: impl FnOnce(Option<V>) -> F,
    ) -> Option<V>
    where
        F: Future<Output = V> + Send + 'static,
    {
        let now = Instant::now();
        let mut entries = self.entries.lock();
        if !entries.contains_key(key) {
            entries.insert(
                key.clone(),
                Entry {
                    value: None,
                    in_flight: None,
                    last_lookup: now,
                },
            );
        }
        let entry = entries.get_mut(key)?;
        entry.last_lookup = now;
        if let Some(value) = entry.value.as_ref().filter(|value| is_fresh(value)) {
            return Some(value.clone());
        }
        if let Some((_, waiters)) = &mut entry.in_flight {
            waiters.insert(waiter.clone());
            return None;
        }
        entry.in_flight = Some((now, HashSet::from_iter([waiter.clone()])));
        let before = entry.value.clone();
        drop(entries);
        let flight = InFlight {
            cache: Arc::clone(self),
            key: key.clone(),
        };
        let fetch = fetch(before);
        self.fetches
            .spawn(async move { flight.complete(fetch.await) });
        None
    }

    /// The start of the fetch in flight, if there is one, after which the waiter is woken.
    pub(crate) fn pending(&self, key: &K, waiter: &Waiter) -> Option<Instant> {
        let mut entries = self.entries.lock();
        let (started, waiters) = entries.get_mut(key)?.in_flight.as_mut()?;
        waiters.insert(waiter.clone());
        Some(*started)
    }

    /// The last value, fresh or not.
    pub(crate) fn last(&self, key: &K) -> Option<V> {
        self.entries.lock().get(key)?.value.clone()
    }

    /// Removes a value, unless it is being fetched.
    pub(crate) fn remove(&self, key: &K) {
        let mut entries = self.entries.lock();
        if entries
            .get(key)
            .is_some_and(|entry| entry.in_flight.is_none())
        {
            entries.remove(key);
        }
    }

    /// Keeps the values that the predicate accepts, by the time since their last lookup, and those that are being fetched.
    pub(crate) fn retain(&self, keep: impl Fn(&K, Duration) -> bool) {
        self.entries.lock().retain(|key, entry| {
            entry.in_flight.is_some() || keep(key, entry.last_lookup.elapsed())
        });
    }

    /// Whether there is an entry for the key.
    pub(crate) fn contains(&self, key: &K) -> bool {
        self.entries.lock().contains_key(key)
    }

    /// The number of entries.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.entries.lock().len()
    }
}

/// A fetch in flight. When it ends, in a panic for example, the waiters are woken on drop.
struct InFlight<K: Eq + Hash, V> {
    cache: Arc<SingleFlight<K, V>>,
    key: K,
}

impl<K: Eq + Hash, V: Clone> InFlight<K, V> {
    fn complete(self, value: V) {
        let mut entries = self.cache.entries.lock();
        let before = entries
            .get_mut(&self.key)
            .and_then(|entry| entry.value.replace(value.clone()));
        drop(entries);
        (self.cache.on_fetched)(&self.key, before.as_ref(), &value);
    }
}

impl<K: Eq + Hash, V> Drop for InFlight<K, V> {
    fn drop(&mut self) {
        let mut entries = self.cache.entries.lock();
        let entry = entries.get_mut(&self.key);
        let in_flight = entry.and_then(|entry| entry.in_flight.take());
        drop(entries);
        if let Some((_, waiters)) = in_flight {
            let waiters: Vec<_> = waiters.into_iter().collect();
            Waiter::wake(&waiters, &self.cache.fetches.triggers);
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::Notify;

    use super::*;

    fn fetches() -> Fetches {
        Fetches::new(Arc::default(), CancellationToken::new())
    }

    fn waiter() -> (Waiter, Arc<Notify>) {
        let notify = Arc::new(Notify::new());
        (Waiter::Task(Arc::clone(&notify)), notify)
    }

    #[tokio::test]
    async fn one_fetch_wakes_all_waiters_of_a_key() {
        let flights: Arc<SingleFlight<&str, u32>> = SingleFlight::new(fetches());
        let ((one, first), (other, second)) = (waiter(), waiter());
        let fetch = |before: Option<u32>| async move { before.unwrap_or(0) + 1 };
        let never = |_| -> std::future::Ready<u32> { unreachable!("one is in flight") };
        assert_eq!(flights.lookup(&"a", &one, |_| true, fetch), None);
        assert_eq!(flights.lookup(&"a", &other, |_| true, never), None);
        first.notified().await;
        second.notified().await;
        assert_eq!(flights.lookup(&"a", &one, |_| true, never), Some(1));
        assert_eq!(flights.lookup(&"a", &one, |value| *value > 1, fetch), None);
        first.notified().await;
        assert_eq!(flights.lookup(&"a", &one, |_| true, never), Some(2));
    }

    #[tokio::test]
    async fn a_fetch_that_panics_wakes_its_waiters() {
        let flights: Arc<SingleFlight<&str, u32>> = SingleFlight::new(fetches());
        let (waiter, woken) = waiter();
        let fetch = |_| async { panic!("planted") };
        assert_eq!(flights.lookup(&"a", &waiter, |_| true, fetch), None);
        woken.notified().await;
        let fetch = |_| async { 7 };
        assert_eq!(flights.lookup(&"a", &waiter, |_| true, fetch), None);
        woken.notified().await;
        assert_eq!(flights.lookup(&"a", &waiter, |_| true, fetch), Some(7));
    }

    #[tokio::test(start_paused = true)]
    async fn unused_values_are_evicted_but_not_while_they_are_fetched() {
        let flights: Arc<SingleFlight<&str, u32>> = SingleFlight::new(fetches());
        let (waiter, woken) = waiter();
        let fetch = |_| async { 7 };
        flights.lookup(&"a", &waiter, |_| true, fetch);
        woken.notified().await;
        let never_ends = |_| std::future::pending();
        flights.lookup(&"b", &waiter, |_| true, never_ends);
        tokio::time::advance(Duration::from_secs(60)).await;
        flights.retain(|_, unused| unused < Duration::from_secs(60));
        assert!(!flights.contains(&"a") && flights.contains(&"b"));
    }
}
