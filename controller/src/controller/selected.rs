//! The selected workloads of one watch.

use std::{
    collections::{HashMap, HashSet},
    hash::{DefaultHasher, Hash as _, Hasher as _},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use kube::core::error_boundary::InvalidObject;

use crate::{workload::Workload, workload::identity::Identity};

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

/// What the API server sent as a workload. That it cannot be read as one is its own trouble: the others of its kind are
/// watched all the same.
#[derive(Debug, Clone)]
pub(crate) struct Guarded {
    pub(crate) identity: Identity,
    pub(crate) read: Result<Workload, InvalidObject>,
}

impl Guarded {
    /// A hash of all that a reconcile reads of it.
    fn fingerprint(&self) -> u64 {
        match &self.read {
            Ok(workload) => workload.fingerprint(),
            Err(unreadable) => {
                let mut hasher = DefaultHasher::new();
                unreadable.error.hash(&mut hasher);
                hasher.finish()
            }
        }
    }
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
