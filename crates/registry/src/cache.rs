//! Bounded caches, and values that expire.

use std::{hash::Hash, num::NonZeroUsize, time::Duration};

use lru::LruCache;
use tokio::time::Instant;

/// Repositories in one cache. Well above the ten thousand workloads of one controller, which are checked in the same order
/// each time: a slightly smaller LRU cache would always have just evicted the entry that is needed next.
pub(crate) const MAX_REPOSITORIES: NonZeroUsize = NonZeroUsize::MIN.saturating_add(16_383);

/// A cache of at most `capacity` entries that allocates as it grows: `LruCache::new` allocates for all of them at once.
pub(crate) fn bounded<K: Hash + Eq, V>(capacity: NonZeroUsize) -> LruCache<K, V> {
    let mut cache = LruCache::unbounded();
    cache.resize(capacity);
    cache
}

/// A value that expires.
pub(crate) struct Expiring<T> {
    value: T,
    expires: Instant,
}

impl<T> Expiring<T> {
    pub(crate) fn new(value: T, ttl: Duration) -> Self {
        let expires = Instant::now() + ttl;
        Self { value, expires }
    }

    pub(crate) fn get(&self) -> Option<&T> {
        (Instant::now() < self.expires).then_some(&self.value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_recently_used_entry_is_evicted() {
        let mut cache = bounded(NonZeroUsize::MIN.saturating_add(1));
        for number in 0..3 {
            cache.put(number, ());
        }
        let kept: Vec<_> = cache.iter().map(|(number, ())| *number).collect();
        assert_eq!(kept, [2, 1]);
    }
}
