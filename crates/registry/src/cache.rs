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

/// A cache whose entries take at most a number of bytes altogether: beyond that, the least recently used are evicted.
pub(crate) struct ByteBounded<K: Hash + Eq, V> {
    entries: LruCache<K, V>,
    bytes: usize,
    capacity: usize,
    cost: fn(&V) -> usize,
}

impl<K: Hash + Eq + Clone, V> ByteBounded<K, V> {
    /// `cost`: the bytes that an entry takes.
    pub(crate) fn new(capacity: usize, cost: fn(&V) -> usize) -> Self {
        Self {
            entries: LruCache::unbounded(),
            bytes: 0,
            capacity,
            cost,
        }
    }

    pub(crate) fn get(&mut self, key: &K) -> Option<&V> {
        self.entries.get(key)
    }

    pub(crate) fn put(&mut self, key: K, value: V) {
        self.bytes = self.bytes.saturating_add((self.cost)(&value));
        let replaced = self.entries.put(key, value);
        self.subtract(replaced.as_ref());
        while self.bytes > self.capacity {
            let Some((_, oldest)) = self.entries.pop_lru() else {
                break;
            };
            self.subtract(Some(&oldest));
        }
    }

    /// Evicts the entries for which the condition is false.
    pub(crate) fn retain(&mut self, is_kept: impl Fn(&V) -> bool) {
        let evicted = self.entries.iter().filter(|(_, value)| !is_kept(value));
        let evicted: Vec<K> = evicted.map(|(key, _)| key.clone()).collect();
        for key in evicted {
            self.remove(&key);
        }
    }

    pub(crate) fn remove(&mut self, key: &K) {
        let removed = self.entries.pop(key);
        self.subtract(removed.as_ref());
    }

    fn subtract(&mut self, removed: Option<&V>) {
        let bytes = removed.map_or(0, self.cost);
        self.bytes = self.bytes.saturating_sub(bytes);
    }
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

    /// A cache of at most 100 bytes, whose values are their own cost.
    fn hundred_bytes() -> ByteBounded<usize, usize> {
        ByteBounded::new(100, |bytes| *bytes)
    }

    #[test]
    fn the_least_recently_used_entries_are_evicted_beyond_the_capacity() {
        let mut cache = hundred_bytes();
        for key in 0..4 {
            cache.put(key, 25);
        }
        assert!(cache.get(&0).is_some(), "all four fit");
        cache.put(4, 26);
        let kept = [0, 1, 2, 3, 4].map(|key| cache.get(&key).is_some());
        assert_eq!(kept, [true, false, false, true, true]);
        cache.put(5, 101);
        assert!(cache.get(&5).is_none(), "more than the capacity");
        assert_eq!((cache.entries.len(), cache.bytes), (0, 0));
    }

    #[test]
    fn the_bytes_of_removed_and_replaced_entries_are_free_again() {
        let mut cache = hundred_bytes();
        for _ in 0..10 {
            cache.put(0, 60);
        }
        cache.put(1, 40);
        assert!(cache.get(&0).is_some(), "counted once");
        cache.remove(&0);
        cache.remove(&0);
        cache.put(2, 60);
        assert!(cache.get(&1).is_some());
        cache.retain(|bytes| *bytes < 50);
        assert_eq!((cache.entries.len(), cache.bytes), (1, 40));
    }
}
