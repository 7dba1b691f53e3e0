//! Single-flight fetches: one for each key at a time, whose failure concurrent callers share.

use std::{hash::Hash, num::NonZeroUsize, sync::Arc, time::Duration};

use lru::LruCache;
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::cache::bounded;

/// How often flights without callers are evicted.
const SWEEP: Duration = Duration::from_secs(5 * 60);

/// The fetches of one key. The caller that holds the lock fetches; a fetch that is dropped changes nothing.
pub(crate) type Flight<E> = Arc<tokio::sync::Mutex<LastFetch<E>>>;

/// The result of the last fetch.
pub(crate) struct LastFetch<E> {
    failure: Option<(Instant, E)>,
}

/// Single-flight fetches by key.
pub(crate) struct SingleFlight<K, E>(Mutex<State<K, E>>);

struct State<K, E> {
    flights: LruCache<K, Flight<E>>,
    swept: Instant,
}

impl<K: Hash + Eq + Clone, E> SingleFlight<K, E> {
    /// Keeps the flights of at most `capacity` keys.
    pub(crate) fn new(capacity: NonZeroUsize) -> Self {
        Self(Mutex::new(State {
            flights: bounded(capacity),
            swept: Instant::now(),
        }))
    }

    /// The flight of a key, for the caller to lock.
    pub(crate) fn join(&self, key: K) -> Flight<E> {
        let mut state = self.0.lock();
        if state.swept.elapsed() >= SWEEP {
            state.sweep();
        }
        let flight = state.flights.get_or_insert(key, Flight::default);
        Arc::clone(flight)
    }
}

impl<K: Hash + Eq + Clone, E> State<K, E> {
    /// Evicts flights without callers.
    fn sweep(&mut self) {
        self.swept = Instant::now();
        let flights = self.flights.iter();
        let unused = flights.filter(|(_, flight)| Arc::strong_count(flight) == 1);
        let unused: Vec<K> = unused.map(|(key, _)| key.clone()).collect();
        for key in unused {
            self.flights.pop(&key);
        }
    }
}

impl<E> LastFetch<E> {
    /// The failure of the last fetch, for a caller that has waited for it since `started`.
    pub(crate) fn failure_since(&self, started: Instant) -> Option<&E> {
        let (at, failure) = self.failure.as_ref()?;
        (*at >= started).then_some(failure)
    }

    pub(crate) fn fail(&mut self, failure: E) {
        self.failure = Some((Instant::now(), failure));
    }
}

impl<E> Default for LastFetch<E> {
    fn default() -> Self {
        Self { failure: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flights(capacity: usize) -> SingleFlight<usize, ()> {
        SingleFlight::new(NonZeroUsize::new(capacity).expect("one at least"))
    }

    #[test]
    fn ten_thousand_flights_are_kept_when_used_in_turn() {
        let flights = flights(crate::cache::MAX_REPOSITORIES.get());
        let first: Vec<_> = (0..10_000).map(|key| flights.join(key)).collect();
        for (key, flight) in first.iter().enumerate() {
            assert!(Arc::ptr_eq(flight, &flights.join(key)), "{key}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn flights_without_callers_are_evicted() {
        let flights = flights(1000);
        let in_use = flights.join(0);
        for key in 0..200 {
            flights.join(key);
        }
        tokio::time::advance(SWEEP).await;
        flights.join(1000);
        let kept = flights.0.lock().flights.len();
        assert_eq!(kept, 2, "one is in use, and one is new");
        assert!(Arc::ptr_eq(&in_use, &flights.join(0)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_is_shared_with_callers_that_waited_for_it() {
        let flight: Flight<&str> = Flight::default();
        let before = Instant::now();
        tokio::time::advance(Duration::from_secs(1)).await;
        let mut last = flight.lock().await;
        last.fail("down");
        assert_eq!(last.failure_since(before), Some(&"down"));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(last.failure_since(Instant::now()), None);
    }
}
