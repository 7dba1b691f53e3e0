//! Caches with a bound.

use std::{hash::Hash, num::NonZeroUsize};

use lru::LruCache;

/// Repositories of which something is kept. Well above the ten thousand workloads that one controller follows: they are
/// asked for in the same order each time, and of a cache that is a little too small for that the entry that is needed
/// next is always the one that has just gone.
pub(crate) const MAX_REPOSITORIES: NonZeroUsize = NonZeroUsize::MIN.saturating_add(16_383);

/// A cache that holds no more than so many entries, and allocates as it grows: `LruCache::new` allocates for all of them
/// at once.
pub(crate) fn bounded<K: Hash + Eq, V>(most: NonZeroUsize) -> LruCache<K, V> {
    let mut cache = LruCache::unbounded();
    cache.resize(most);
    cache
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_entry_goes_when_there_are_too_many() {
        let mut cache = bounded(NonZeroUsize::MIN.saturating_add(1));
        for number in 0..3 {
            cache.put(number, ());
        }
        let kept: Vec<_> = cache.iter().map(|(number, ())| *number).collect();
        assert_eq!(kept, [2, 1]);
    }
}
