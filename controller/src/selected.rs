//! The selected workloads of one watch.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::{identity::Identity, workload::Guarded};

/// The selected workloads of one watch, as the API server sent each of them last.
#[derive(Default)]
pub(crate) struct Selected(Mutex<Known>);

#[derive(Default)]
struct Known {
    workloads: HashMap<Identity, Seen>,
    /// The first list has ended.
    listed: bool,
}

struct Seen {
    object: Arc<Guarded>,
    /// A hash of what a reconcile reads of it.
    fingerprint: u64,
}

impl Selected {
    /// Keeps an object, and says whether a reconcile would read in it what it has not read before.
    pub(crate) fn put(&self, object: Guarded) -> bool {
        let fingerprint = object.fingerprint();
        let identity = object.identity.clone();
        let object = Arc::new(object);
        let seen = Seen {
            object,
            fingerprint,
        };
        let before = self.lock().workloads.insert(identity, seen);
        before.is_none_or(|before| before.fingerprint != fingerprint)
    }

    /// Lets go of a workload, and says whether it was there.
    pub(crate) fn remove(&self, identity: &Identity) -> bool {
        self.lock().workloads.remove(identity).is_some()
    }

    /// A list has ended that holds these; says how many that are known it does not hold.
    pub(crate) fn listed(&self, listed: &HashSet<Identity>) -> Vec<Identity> {
        let mut known = self.lock();
        known.listed = true;
        let missing = known.workloads.keys();
        let missing = missing.filter(|known| !listed.contains(*known));
        missing.cloned().collect()
    }

    /// The workload as it was last.
    pub(crate) fn get(&self, identity: &Identity) -> Option<Arc<Guarded>> {
        let known = self.lock();
        let seen = known.workloads.get(identity)?;
        Some(Arc::clone(&seen.object))
    }

    /// The identity that is kept already for this UID.
    pub(crate) fn identity(&self, uid: &str) -> Option<Identity> {
        let known = self.lock();
        let (identity, _) = known.workloads.get_key_value(uid)?;
        Some(identity.clone())
    }

    /// All of them; none before they are known.
    pub(crate) fn all(&self) -> Vec<Identity> {
        let known = self.lock();
        let all = known.workloads.keys().filter(|_| known.listed);
        all.cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
