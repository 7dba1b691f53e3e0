//! What a sink was sent already.

use std::{
    collections::{HashMap, VecDeque},
    hash::{DefaultHasher, Hash, Hasher as _},
    time::{Duration, Instant},
};

use crate::notice::Notice;

/// Workloads and credentials that are remembered; the one that was entered first is forgotten for the next.
const MOST: usize = 4096;

/// A credential that was not refused for so long is reported when it is refused again.
const REFUSAL: Duration = Duration::from_secs(2 * 60 * 60);

/// The events of each workload that were taken, until it is rolled out to another digest. A hundred kilobytes at the most.
#[derive(Debug, Default)]
pub(crate) struct Once {
    known: HashMap<u64, Known>,
    entered: VecDeque<u64>,
}

#[derive(Debug)]
struct Known {
    /// The digests that the events were about.
    target: u64,
    events: u8,
    last: Instant,
}

impl Once {
    /// Whether this is the first time for this workload, digest and event, or for this registry and credential.
    pub(crate) fn is_news(&mut self, notice: &Notice, now: Instant) -> bool {
        let (key, target) = match &notice.refused {
            Some(refused) => (hash(&(&refused.registry, refused.credential)), 0),
            None => (hash(&notice.workload.uid), hash(&notice.digests)),
        };
        let bit = notice.event.bit();
        if let Some(known) = self.known.get_mut(&key) {
            let passed = notice.refused.is_some() && now.duration_since(known.last) > REFUSAL;
            let same = known.target == target && !passed;
            let is_news = !same || known.events & bit == 0;
            known.events = if same { known.events | bit } else { bit };
            (known.target, known.last) = (target, now);
            return is_news;
        }
        if self.entered.len() >= MOST
            && let Some(oldest) = self.entered.pop_front()
        {
            self.known.remove(&oldest);
        }
        self.entered.push_back(key);
        let known = Known {
            target,
            events: bit,
            last: now,
        };
        self.known.insert(key, known);
        true
    }
}

fn hash(key: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    hasher.finish()
}
