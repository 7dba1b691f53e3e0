//! Requests to reconcile a workload that do not come from its watch: a tag has moved, or a fetch has ended.

use std::{
    collections::HashMap,
    hash::{Hash, Hasher},
    sync::Arc,
};

use futures::{
    Stream,
    channel::mpsc::{self, UnboundedSender},
};
use kube::runtime::reflector::ObjectRef;
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::workload::{Kind, Object, Watch, identity::Identity};

/// Sends requests to the controllers of all kinds and scopes.
#[derive(Default)]
pub(crate) struct Triggers {
    controllers: Mutex<HashMap<Watch, (Kind, Sender)>>,
}

type Sender = UnboundedSender<ObjectRef<Object>>;

impl Triggers {
    /// The requests for the controller of a kind and scope.
    pub(crate) fn subscribe(
        &self,
        kind: Kind,
        watch: &Watch,
    ) -> impl Stream<Item = ObjectRef<Object>> + Send + use<> {
        let (sender, receiver) = mpsc::unbounded();
        let mut controllers = self.controllers.lock();
        controllers.insert(watch.clone(), (kind, sender));
        receiver
    }

    /// Requests an immediate reconcile of each workload.
    pub(crate) fn send<'a>(&self, workloads: impl IntoIterator<Item = &'a Identity>) {
        let controllers = self.controllers.lock();
        for workload in workloads {
            let namespaced = (workload.kind, Some(workload.namespace.to_string()));
            let controller = controllers.get(&namespaced);
            let Some((kind, sender)) =
                controller.or_else(|| controllers.get(&(workload.kind, None)))
            else {
                continue;
            };
            let object = ObjectRef::new_with(&workload.name, *kind).within(&workload.namespace);
            // It fails when the controller has ended.
            drop(sender.unbounded_send(object));
        }
    }
}

/// A waiter for a fetch.
#[derive(Debug, Clone)]
pub(crate) enum Waiter {
    /// A workload, whose reconcile has ended and is requested again.
    Workload(Identity),
    /// A reconcile that continues.
    Task(Arc<Notify>),
}

impl Waiter {
    /// Wakes all waiters.
    pub(crate) fn wake(waiters: &[Self], triggers: &Triggers) {
        triggers.send(waiters.iter().filter_map(|waiter| match waiter {
            Self::Workload(identity) => Some(identity),
            Self::Task(_) => None,
        }));
        for waiter in waiters {
            if let Self::Task(task) = waiter {
                task.notify_one();
            }
        }
    }
}

/// Repeats a lookup, and waits for its fetch, until it returns a value.
pub(crate) async fn until_ready<T>(mut lookup: impl FnMut(&Waiter) -> Option<T>) -> T {
    let fetched = Arc::new(Notify::new());
    let waiter = Waiter::Task(Arc::clone(&fetched));
    loop {
        if let Some(value) = lookup(&waiter) {
            return value;
        }
        fetched.notified().await;
    }
}

impl PartialEq for Waiter {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Workload(one), Self::Workload(other)) => one == other,
            (Self::Task(one), Self::Task(other)) => Arc::ptr_eq(one, other),
            _ => false,
        }
    }
}

impl Eq for Waiter {}

impl Hash for Waiter {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        match self {
            Self::Workload(identity) => identity.hash(hasher),
            Self::Task(task) => Arc::as_ptr(task).hash(hasher),
        }
    }
}
