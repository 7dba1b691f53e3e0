//! Deduplication of events.

use std::{
    collections::{HashMap, VecDeque},
    hash::{DefaultHasher, Hash, Hasher as _},
    time::{Duration, Instant},
};

use crate::notice::Notice;

/// The most workloads and credentials; the oldest one is evicted.
const CAPACITY: usize = 4096;

/// A credential is reported again if it was not rejected for this long.
const REJECTION_EXPIRY: Duration = Duration::from_secs(2 * 60 * 60);

/// The events of each workload that were reported since it was rolled out to its digest: at most a hundred kilobytes.
#[derive(Debug, Default)]
pub(crate) struct Deduplicator {
    reported: HashMap<u64, Reported>,
    /// The keys, oldest first.
    keys: VecDeque<u64>,
}

#[derive(Debug)]
struct Reported {
    /// A hash of the digests.
    target: u64,
    events: u8,
    last: Instant,
}

impl Deduplicator {
    /// Whether this is the first notice for the workload, digests and event, or for the registry and credential.
    pub(crate) fn is_new(&mut self, notice: &Notice, now: Instant) -> bool {
        let (key, target) = match &notice.refused {
            Some(refused) => (hash(&(&refused.registry, refused.credential)), 0),
            None => (hash(&notice.workload.uid), hash(&notice.digests)),
        };
        let bit = notice.event.bit();
        if let Some(reported) = self.reported.get_mut(&key) {
            let is_expired =
                notice.refused.is_some() && now.duration_since(reported.last) > REJECTION_EXPIRY;
            let is_same = reported.target == target && !is_expired;
            let is_new = !is_same || reported.events & bit == 0;
            reported.events = if is_same { reported.events | bit } else { bit };
            (reported.target, reported.last) = (target, now);
            return is_new;
        }
        if self.keys.len() >= CAPACITY
            && let Some(oldest) = self.keys.pop_front()
        {
            self.reported.remove(&oldest);
        }
        self.keys.push_back(key);
        let reported = Reported {
            target,
            events: bit,
            last: now,
        };
        self.reported.insert(key, reported);
        true
    }
}

fn hash(key: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    hasher.finish()
}
