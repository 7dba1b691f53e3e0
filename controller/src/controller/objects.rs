//! The reflector stores of the selected workloads.

use std::sync::Arc;

use kube::runtime::reflector::{ObjectRef, Store};
use parking_lot::Mutex;

use crate::workload::{Kind, Object, Watch, Workload, identity::Identity};

/// The stores of all watches.
#[derive(Default)]
pub(crate) struct Objects(Mutex<Vec<Watched>>);

/// The store of one watch.
struct Watched {
    kind: Kind,
    /// `None` for all namespaces.
    namespace: Option<String>,
    store: Store<Object>,
}

impl Objects {
    /// Adds the store of a watch.
    pub(super) fn add(&self, kind: Kind, watch: &Watch, store: Store<Object>) {
        let namespace = watch.1.clone();
        self.0.lock().push(Watched {
            kind,
            namespace,
            store,
        });
    }

    /// The objects in all stores.
    pub(crate) fn all(&self) -> Vec<Arc<Object>> {
        let stores = self.0.lock();
        let objects = stores.iter().flat_map(|watched| watched.store.state());
        objects.collect()
    }

    /// The workload's current object; `None` if it was deleted or this version cannot read it.
    pub(crate) fn get(&self, identity: &Identity) -> Option<Workload> {
        let stores = self.0.lock();
        let watched = stores.iter().find(|watched| watched.covers(identity))?;
        let reference = ObjectRef::new_with(&identity.name, watched.kind);
        let object = watched.store.get(&reference.within(&identity.namespace))?;
        let is_same = object.uid() == &*identity.uid;
        let workload = is_same.then(|| Workload::new(watched.kind, object))?;
        workload.ok()
    }
}

impl Watched {
    fn covers(&self, identity: &Identity) -> bool {
        let namespace = self.namespace.as_deref();
        self.kind.name() == identity.kind
            && namespace.is_none_or(|namespace| *namespace == *identity.namespace)
    }
}
