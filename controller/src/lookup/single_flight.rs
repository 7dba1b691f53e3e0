//! Answers that are fetched once for all who want them, by a task of their own.

use std::{hash::Hash, sync::Arc, time::Duration};

use ahash::{HashMap, HashSet};
use parking_lot::Mutex;
use tokio::time::Instant;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{Triggers, Waiter};

/// Where fetches run, and who is woken when one has ended.
#[derive(Clone)]
pub(crate) struct Fetches {
    pub(crate) triggers: Arc<Triggers>,
    stop: CancellationToken,
    /// Unlike a `JoinSet`, it keeps nothing of those that have ended.
    tasks: TaskTracker,
}

impl Fetches {
    /// Fetches that all end when they are stopped.
    pub(crate) fn new(triggers: Arc<Triggers>, stop: CancellationToken) -> Self {
        Self {
            triggers,
            stop,
            tasks: TaskTracker::new(),
        }
    }

    /// Runs a fetch until it ends, or all are stopped.
    pub(crate) fn spawn(&self, fetch: impl Future<Output = ()> + Send + 'static) {
        // In a box of its own: what waits for a future holds it twice.
        let fetch = Box::pin(fetch);
        let stop = self.stop.clone();
        self.tasks
            .spawn(async move { stop.run_until_cancelled(fetch).await });
    }
}

/// What is called after a fetch with what was known before and what is known now.
type After<K, V> = Box<dyn Fn(&K, Option<&V>, &V) + Send + Sync>;

/// The answers for keys: looked up at once, or fetched by one task for all who wait.
pub(crate) struct SingleFlight<K, V> {
    fetches: Fetches,
    entries: Mutex<HashMap<K, Entry<V>>>,
    after: After<K, V>,
}

struct Entry<V> {
    answer: Option<V>,
    /// While it is being fetched, since when, and who waits.
    waiting: Option<(Instant, HashSet<Waiter>)>,
    /// When it was looked up last.
    used: Instant,
}

impl<K, V> SingleFlight<K, V>
where
    K: Clone + Eq + Hash + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// Nothing is known yet.
    pub(crate) fn new(fetches: Fetches) -> Arc<Self> {
        Self::observed(fetches, |_, _, _| {})
    }

    /// The same, with a function that is called after each fetch, before those who wait are woken.
    pub(crate) fn observed(
        fetches: Fetches,
        after: impl Fn(&K, Option<&V>, &V) + Send + Sync + 'static,
    ) -> Arc<Self> {
        Arc::new(Self {
            fetches,
            entries: Mutex::default(),
            after: Box::new(after),
        })
    }

    /// The answer, if it is good enough. Else nothing: it is being fetched from now on, and the waiter is woken when that
    /// has ended, however it ended. `fetch` gets what was known before.
    pub(crate) fn lookup<F>(
        self: &Arc<Self>,
        key: &K,
        waiter: &Waiter,
        is_good: impl FnOnce(&V) -> bool,
        fetch: impl FnOnce(Option<V>) -> F,
    ) -> Option<V>
    where
        F: Future<Output = V> + Send + 'static,
    {
        let mut entries = self.entries.lock();
        if !entries.contains_key(key) {
            entries.insert(key.clone(), Entry::new());
        }
        let entry = entries.get_mut(key)?;
        entry.used = Instant::now();
        if let Some(answer) = entry.answer.as_ref().filter(|answer| is_good(answer)) {
            return Some(answer.clone());
        }
        if let Some((_, waiting)) = &mut entry.waiting {
            waiting.insert(waiter.clone());
            return None;
        }
        entry.waiting = Some((entry.used, HashSet::from_iter([waiter.clone()])));
        let before = entry.answer.clone();
        drop(entries);
        let flight = Flight {
            owner: Arc::clone(self),
            key: key.clone(),
        };
        let fetch = fetch(before);
        self.fetches.spawn(async move { flight.land(fetch.await) });
        None
    }

    /// Since when an answer is being fetched, if it is; the waiter is woken when that has ended.
    pub(crate) fn pending(&self, key: &K, waiter: &Waiter) -> Option<Instant> {
        let mut entries = self.entries.lock();
        let (since, waiting) = entries.get_mut(key)?.waiting.as_mut()?;
        waiting.insert(waiter.clone());
        Some(*since)
    }

    /// The last answer, however old.
    pub(crate) fn known(&self, key: &K) -> Option<V> {
        self.entries.lock().get(key)?.answer.clone()
    }

    /// Forgets an answer. A fetch that is under way goes on for those who wait.
    pub(crate) fn forget(&self, key: &K) {
        let mut entries = self.entries.lock();
        if entries
            .get(key)
            .is_some_and(|entry| entry.waiting.is_none())
        {
            entries.remove(key);
        }
    }

    /// Keeps only the answers of which `is_needed` holds, given for how long each has not been looked up.
    pub(crate) fn retain(&self, is_needed: impl Fn(&K, Duration) -> bool) {
        self.entries
            .lock()
            .retain(|key, entry| entry.waiting.is_some() || is_needed(key, entry.used.elapsed()));
    }

    /// Whether there is an entry for the key.
    pub(crate) fn contains(&self, key: &K) -> bool {
        self.entries.lock().contains_key(key)
    }

    /// How many answers are kept.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.entries.lock().len()
    }
}

impl<V> Entry<V> {
    fn new() -> Self {
        Self {
            answer: None,
            waiting: None,
            used: Instant::now(),
        }
    }
}

/// A fetch under way. However it ends, in a panic say, nobody waits for it any more then.
struct Flight<K: Eq + Hash, V> {
    owner: Arc<SingleFlight<K, V>>,
    key: K,
}

impl<K: Eq + Hash, V: Clone> Flight<K, V> {
    fn land(self, answer: V) {
        let mut entries = self.owner.entries.lock();
        let before = entries
            .get_mut(&self.key)
            .and_then(|entry| entry.answer.replace(answer.clone()));
        drop(entries);
        (self.owner.after)(&self.key, before.as_ref(), &answer);
    }
}

impl<K: Eq + Hash, V> Drop for Flight<K, V> {
    fn drop(&mut self) {
        let mut entries = self.owner.entries.lock();
        let entry = entries.get_mut(&self.key);
        let waiting = entry.and_then(|entry| entry.waiting.take());
        drop(entries);
        let waiting: Vec<_> = waiting
            .into_iter()
            .flat_map(|(_, waiting)| waiting)
            .collect();
        Waiter::wake(&waiting, &self.owner.fetches.triggers);
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
    async fn all_who_wait_for_a_key_are_woken_by_one_fetch() {
        let flights: Arc<SingleFlight<&str, u32>> = SingleFlight::new(fetches());
        let ((one, first), (other, second)) = (waiter(), waiter());
        let fetch = |before: Option<u32>| async move { before.unwrap_or(0) + 1 };
        let never = |_| -> std::future::Ready<u32> { unreachable!("one is under way") };
        assert_eq!(flights.lookup(&"a", &one, |_| true, fetch), None);
        assert_eq!(flights.lookup(&"a", &other, |_| true, never), None);
        first.notified().await;
        second.notified().await;
        assert_eq!(flights.lookup(&"a", &one, |_| true, never), Some(1));
        assert_eq!(flights.lookup(&"a", &one, |known| *known > 1, fetch), None);
        first.notified().await;
        assert_eq!(flights.lookup(&"a", &one, |_| true, never), Some(2));
    }

    #[tokio::test]
    async fn a_fetch_that_panics_keeps_nobody_waiting() {
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
    async fn answers_that_nobody_looks_up_are_forgotten_and_fetches_are_not() {
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
