//! One fetch at a time for each key; callers that need the same meanwhile wait, and share its outcome.

use std::{hash::Hash, num::NonZeroUsize, sync::Arc, time::Duration};

use lru::LruCache;
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::cache::bounded;

/// How often values that are over are searched for.
const SWEEP: Duration = Duration::from_secs(5 * 60);

/// What was fetched for one key. The caller that holds the lock fetches; a fetch that is given up leaves it as it was.
pub(crate) type Flight<V, E> = Arc<tokio::sync::Mutex<Outcome<V, E>>>;

/// What came of the last fetch.
pub(crate) struct Outcome<V, E> {
    value: Option<V>,
    failure: Option<(Instant, E)>,
}

/// The fetches of many keys, and the values that they have got.
pub(crate) struct Flights<K, V, E> {
    flights: Mutex<Known<K, V, E>>,
    /// Whether a value is still of use.
    is_usable: fn(&V) -> bool,
}

struct Known<K, V, E> {
    by_key: LruCache<K, Flight<V, E>>,
    swept: Instant,
}

impl<K: Hash + Eq + Clone, V, E> Flights<K, V, E> {
    /// Keeps values of at most so many keys, as long as they are usable.
    pub(crate) fn new(most: NonZeroUsize, is_usable: fn(&V) -> bool) -> Self {
        let flights = Known {
            by_key: bounded(most),
            swept: Instant::now(),
        };
        Self {
            flights: Mutex::new(flights),
            is_usable,
        }
    }

    /// The flight of a key, to be locked.
    pub(crate) fn join(&self, key: K) -> Flight<V, E> {
        let mut flights = self.flights.lock();
        if flights.swept.elapsed() >= SWEEP {
            flights.sweep(self.is_usable);
        }
        let flight = flights.by_key.get_or_insert(key, Flight::default);
        Arc::clone(flight)
    }
}

impl<K: Hash + Eq + Clone, V, E> Known<K, V, E> {
    /// Forgets the flights that nobody is on and that have no value any more.
    fn sweep(&mut self, is_usable: fn(&V) -> bool) {
        self.swept = Instant::now();
        let is_over = |flight: &Flight<V, E>| {
            let usable = flight
                .try_lock()
                .is_ok_and(|outcome| outcome.value.as_ref().is_some_and(is_usable));
            Arc::strong_count(flight) == 1 && !usable
        };
        let flights = self.by_key.iter();
        let over = flights.filter(|(_, flight)| is_over(flight));
        let over: Vec<K> = over.map(|(key, _)| key.clone()).collect();
        for key in over {
            self.by_key.pop(&key);
        }
    }
}

impl<V: Clone, E: Clone> Outcome<V, E> {
    /// The value of the last fetch that has got one.
    pub(crate) fn value(&self) -> Option<&V> {
        self.value.as_ref()
    }

    /// The failure of the last fetch, for a caller that has waited for it since `asked`.
    pub(crate) fn failure_since(&self, asked: Instant) -> Option<&E> {
        let (at, failure) = self.failure.as_ref()?;
        (*at >= asked).then_some(failure)
    }

    /// A fetch has got a value.
    pub(crate) fn succeed(&mut self, value: &V) {
        self.value = Some(value.clone());
    }

    /// A fetch has failed.
    pub(crate) fn fail(&mut self, failure: E) {
        self.failure = Some((Instant::now(), failure));
    }
}

impl<V, E> Default for Outcome<V, E> {
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

    /// Values are the seconds until which they are usable.
    fn cache(most: usize) -> Flights<usize, Instant, ()> {
        let most = NonZeroUsize::new(most).expect("one at least");
        Flights::new(most, |until| Instant::now() < *until)
    }

    #[test]
    fn ten_thousand_flights_are_kept_when_they_are_needed_in_turn() {
        let cache = cache(crate::cache::MAX_REPOSITORIES.get());
        let first: Vec<_> = (0..10_000).map(|key| cache.join(key)).collect();
        for (key, flight) in first.iter().enumerate() {
            assert!(Arc::ptr_eq(flight, &cache.join(key)), "{key}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_over_is_forgotten() {
        let cache = cache(1000);
        for key in 0..200 {
            let life = Duration::from_secs(if key < 100 { 60 } else { 3600 });
            let flight = cache.join(key);
            let mut outcome = flight.try_lock().expect("nobody else");
            outcome.succeed(&(Instant::now() + life));
        }
        let in_use = cache.join(0);
        tokio::time::advance(SWEEP).await;
        drop(cache.join(1000));
        let kept = cache.flights.lock().by_key.len();
        assert_eq!(kept, 100 + 2, "one is being waited for, and one is new");
        assert!(Arc::ptr_eq(&in_use, &cache.join(0)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_is_shared_with_those_who_have_waited_for_it_only() {
        let flight: Flight<(), &str> = Flight::default();
        let before = Instant::now();
        tokio::time::advance(Duration::from_secs(1)).await;
        let mut outcome = flight.lock().await;
        outcome.fail("away");
        assert_eq!(outcome.failure_since(before), Some(&"away"));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(outcome.failure_since(Instant::now()), None);
    }
}
