//! A message: one event, or several that are alike.

use std::sync::Arc;

use jiff::Timestamp;
use ring::digest::{Context, SHA256};

use crate::{
    event::Event,
    notice::{Notice, hexadecimal},
};

/// So many events of a group are kept; of the others only how many they are.
const KEPT: usize = 50;

/// One or more events that are sent together. There is at least one, and they are of the same kind.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    /// What happened.
    pub event: Event,
    pub(crate) first: Arc<Notice>,
    pub(crate) others: Vec<Arc<Notice>>,
    /// How many more there were.
    pub(crate) more: usize,
}

impl Message {
    /// About one event.
    pub fn new(notice: &Arc<Notice>) -> Self {
        Self {
            event: notice.event,
            first: Arc::clone(notice),
            others: Vec::new(),
            more: 0,
        }
    }

    /// Adds another one.
    pub(crate) fn add(&mut self, notice: &Arc<Notice>) {
        if self.others.len() + 1 < KEPT {
            self.others.push(Arc::clone(notice));
        } else {
            self.more += 1;
        }
    }

    /// How many events it is about.
    pub fn count(&self) -> usize {
        1 + self.others.len() + self.more
    }

    /// Those that are kept.
    pub(crate) fn notices(&self) -> impl Iterator<Item = &Notice> {
        [&self.first]
            .into_iter()
            .chain(&self.others)
            .map(AsRef::as_ref)
    }

    /// When the last of them happened.
    pub(crate) fn at(&self) -> Timestamp {
        let at = self.notices().map(|notice| notice.at).max();
        at.unwrap_or(self.first.at)
    }

    /// The ID of the event; of several, a hash of theirs.
    pub fn id(&self) -> String {
        if self.others.is_empty() {
            return self.first.id();
        }
        let mut ids: Vec<_> = self.notices().map(Notice::id).collect();
        ids.sort_unstable();
        let mut context = Context::new(&SHA256);
        for id in ids {
            context.update(id.as_bytes());
        }
        hexadecimal(context.finish().as_ref().iter().take(16))
    }
}
