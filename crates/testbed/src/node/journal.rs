//! The containers that run on the nodes, and a record of changes.

use std::collections::HashMap;

use parking_lot::Mutex;

use super::running::{Ran, RunningContainer};
use crate::clock::now;

/// What runs, by the UIDs of pods; empty image IDs are filled in when they are read.
#[derive(Debug, Default)]
pub(super) struct Journal {
    running: Mutex<HashMap<String, Vec<RunningContainer>>>,
    /// The record of changes, once it is kept.
    changes: Mutex<Option<Vec<Ran>>>,
}

impl Journal {
    /// A pod was bound to a node, and no container of it runs yet.
    pub(super) fn took_on(&self, uid: &str) {
        self.running.lock().insert(uid.to_owned(), Vec::new());
    }

    /// Keeps what runs in a pod, unless it is gone: its worker may take a last step while it is being aborted.
    pub(super) fn set_running(&self, uid: &str, containers: Vec<RunningContainer>) {
        if let Some(running) = self.running.lock().get_mut(uid) {
            self.note(uid, running, &containers);
            *running = containers;
        }
    }

    /// Nothing of a pod runs any more.
    pub(super) fn stopped(&self, uid: &str) {
        if let Some(running) = self.running.lock().remove(uid) {
            self.note(uid, &running, &[]);
        }
    }

    /// From now on all that runs is noted.
    pub(super) fn keep(&self) {
        self.changes.lock().get_or_insert_default();
    }

    /// What was noted, oldest first.
    pub(super) fn changes(&self) -> Vec<Ran> {
        self.changes.lock().clone().unwrap_or_default()
    }

    /// What runs in a namespace, in the order of the pods' and the containers' names.
    pub(super) fn running(&self, namespace: &str) -> Vec<RunningContainer> {
        let mut running: Vec<_> = self
            .running
            .lock()
            .values()
            .flatten()
            .filter(|container| container.namespace == namespace)
            .cloned()
            .collect();
        running
            .sort_by(|one, other| (&one.pod, &one.container).cmp(&(&other.pod, &other.container)));
        running
    }

    /// Notes a change of what runs in a pod, while what runs is locked, so that notes are in order.
    fn note(&self, uid: &str, before: &[RunningContainer], now_running: &[RunningContainer]) {
        if let Some(changes) = &mut *self.changes.lock()
            && before != now_running
        {
            changes.push(Ran {
                at: now(),
                uid: uid.to_owned(),
                containers: now_running.to_vec(),
            });
        }
    }
}
