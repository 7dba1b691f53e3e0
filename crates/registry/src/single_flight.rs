//! Single-flight fetches: one for each key at a time, whose result concurrent callers share.

use std::{hash::Hash, num::NonZeroUsize, sync::Arc, time::Duration};

use lru::LruCache;
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::cache::bounded;

/// How often unusable values are evicted.
const SWEEP: Duration = Duration::from_secs(5 * 60);

/// The fetches of one key. The caller that holds the lock fetches; a fetch that is dropped changes nothing.
pub(crate) type Flight<V, E> = Arc<tokio::sync::Mutex<LastFetch<V, E>>>;

/// The result of the last fetch.
pub(crate) struct LastFetch<V, E> {
    /// Of the last fetch that succeeded.
    pub(crate) value: Option<V>,
    failure: Option<(Instant, E)>,
}

/// Single-flight fetches by key, and the fetched values.
pub(crate) struct SingleFlight<K, V, E> {
    state: Mutex<State<K, V, E>>,
    is_usable: fn(&V) -> bool,
}

struct State<K, V, E> {
    flights: LruCache<K, Flight<V, E>>,
    swept: Instant,
}

impl<K: Hash + Eq + Clone, V, E> SingleFlight<K, V, E> {
    /// Caches the values of at most `capacity` keys while they are usable.
    pub(crate) fn new(capacity: NonZeroUsize, is_usable: fn(&V) -> bool) -> Self {
        let state = State {
            flights: bounded(capacity),
            swept: Instant::now(),
        };
        Self {
            state: Mutex::new(state),
            is_usable,
        }
    }

    /// The flight of a key, for the caller to lock.
    pub(crate) fn join(&self, key: K) -> Flight<V, E> {
        let mut state = self.state.lock();
        if state.swept.elapsed() >= SWEEP {
            state.sweep(self.is_usable);
        }
        let flight = state.flights.get_or_insert(key, Flight::default);
        Arc::clone(flight)
    }
}

impl<K: Hash + Eq + Clone, V, E> State<K, V, E> {
    /// Evicts flights without callers and without a usable value.
    fn sweep(&mut self, is_usable: fn(&V) -> bool) {
        self.swept = Instant::now();
        let is_unused = |flight: &Flight<V, E>| {
            let usable = flight
                .try_lock()
                .is_ok_and(|last| last.value.as_ref().is_some_and(is_usable));
            Arc::strong_count(flight) == 1 && !usable
        };
        let flights = self.flights.iter();
        let unused = flights.filter(|(_, flight)| is_unused(flight));
        let unused: Vec<K> = unused.map(|(key, _)| key.clone()).collect();
        for key in unused {
            self.flights.pop(&key);
        }
    }
}

impl<V, E> LastFetch<V, E> {
    /// The failure of the last fetch, for a caller that has waited for it since `started`.
    pub(crate) fn failure_since(&self, started: Instant) -> Option<&E> {
        let (at, failure) = self.failure.as_ref()?;
        (*at >= started).then_some(failure)
    }

    pub(crate) fn fail(&mut self, failure: E) {
        self.failure = Some((Instant::now(), failure));
    }
}

impl<V, E> Default for LastFetch<V, E> {
    fn default() -> Self {
        Self {
            value: None,
            failure: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values are usable until that instant.
    fn cache(capacity: usize) -> SingleFlight<usize, Instant, ()> {
        let capacity = NonZeroUsize::new(capacity).expect("one at least");
        SingleFlight::new(capacity, |until| Instant::now() < *until)
    }

    #[test]
    fn ten_thousand_flights_are_kept_when_used_in_turn() {
        let cache = cache(crate::cache::MAX_REPOSITORIES.get());
        let first: Vec<_> = (0..10_000).map(|key| cache.join(key)).collect();
        for (key, flight) in first.iter().enumerate() {
            assert!(Arc::ptr_eq(flight, &cache.join(key)), "{key}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn unusable_values_are_evicted() {
        let cache = cache(1000);
        for key in 0..200 {
            let life = Duration::from_secs(if key < 100 { 60 } else { 3600 });
            let flight = cache.join(key);
            let mut last = flight.try_lock().expect("no other caller");
            last.value = Some(Instant::now() + life);
        }
        let in_use = cache.join(0);
        tokio::time::advance(SWEEP).await;
        drop(cache.join(1000));
        let kept = cache.state.lock().flights.len();
        assert_eq!(kept, 100 + 2, "one is in use, and one is new");
        assert!(Arc::ptr_eq(&in_use, &cache.join(0)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_is_shared_with_callers_that_waited_for_it() {
        let flight: Flight<(), &str> = Flight::default();
        let before = Instant::now();
        tokio::time::advance(Duration::from_secs(1)).await;
        let mut last = flight.lock().await;
        last.fail("down");
        assert_eq!(last.failure_since(before), Some(&"down"));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(last.failure_since(Instant::now()), None);
    }
}
