//! The reflector stores of the selected workloads.

use std::{collections::HashMap, sync::Arc};

use kube::runtime::reflector::{ObjectRef, Store};
use parking_lot::Mutex;

use crate::workload::{Kind, Object, Watch, Workload, identity::Identity};

/// The stores of all watches.
#[derive(Default)]
pub(crate) struct Stores(Mutex<HashMap<Watch, (Kind, Store<Object>)>>);

impl Stores {
    /// Adds the store of a watch.
    pub(super) fn add(&self, kind: Kind, watch: &Watch, store: Store<Object>) {
        self.0.lock().insert(watch.clone(), (kind, store));
    }

    /// The objects in all stores.
    pub(crate) fn all(&self) -> Vec<Arc<Object>> {
        let stores = self.0.lock();
        let objects = stores.values().flat_map(|(_, store)| store.state());
        objects.collect()
    }

    /// The workload's current object; `None` if it was deleted or this version cannot read it.
    pub(crate) fn get(&self, identity: &Identity) -> Option<Workload> {
        let stores = self.0.lock();
        let namespaced = stores.get(&(identity.kind, Some(identity.namespace.to_string())));
        let (kind, store) = namespaced.or_else(|| stores.get(&(identity.kind, None)))?;
        let reference = ObjectRef::new_with(&identity.name, *kind).within(&identity.namespace);
        let object = store.get(&reference)?;
        let is_same = object.uid() == &*identity.uid;
        let workload = is_same.then(|| Workload::new(*kind, object))?;
        workload.ok()
    }
}
