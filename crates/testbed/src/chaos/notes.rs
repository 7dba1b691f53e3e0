//! A record of the run's own actions: pushes, and edits of owners.

use std::collections::BTreeMap;

use jiff::Timestamp;
use parking_lot::{Mutex, MutexGuard};

use super::{
    history::{Move, Span, Subject},
    plan::Fault,
};

use crate::clock::now;

/// The record of all lanes.
#[derive(Default)]
pub(super) struct Notes(Mutex<Content>);

#[derive(Default)]
pub(super) struct Content {
    /// In the order of the workloads' numbers.
    pub(super) subjects: Vec<Subject>,
    pub(super) moves: Vec<Move>,
    /// The names of faults, and how many of each there were.
    pub(super) faults: BTreeMap<String, usize>,
}

impl Notes {
    pub(super) fn content(&self) -> MutexGuard<'_, Content> {
        self.0.lock()
    }

    /// Counts a fault.
    pub(super) fn happened(&self, fault: &Fault) {
        *self.content().faults.entry(fault.name()).or_default() += 1;
    }
}

impl Span {
    /// From then to now.
    pub(super) fn since(begun: Timestamp) -> Self {
        Self { begun, done: now() }
    }
}
