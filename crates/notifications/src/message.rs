//! Messages: one event, or a group of similar ones.

use std::sync::Arc;

use jiff::Timestamp;
use ring::digest::{Context, SHA256};

use crate::{
    event::Event,
    notice::{Notice, hexadecimal},
};

/// The most notices of a group; further ones are only counted.
const MAX_NOTICES: usize = 50;

/// One or more notices of the same event that are sent together.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    /// The event.
    pub event: Event,
    pub(crate) first: Arc<Notice>,
    pub(crate) others: Vec<Arc<Notice>>,
    /// The number of further notices.
    pub(crate) more: usize,
}

impl Message {
    /// A message with one notice.
    pub fn new(notice: &Arc<Notice>) -> Self {
        Self {
            event: notice.event,
            first: Arc::clone(notice),
            others: Vec::new(),
            more: 0,
        }
    }

    /// Adds a notice.
    pub(crate) fn add(&mut self, notice: &Arc<Notice>) {
        if self.others.len() + 1 < MAX_NOTICES {
            self.others.push(Arc::clone(notice));
        } else {
            self.more += 1;
        }
    }

    /// The number of notices.
    pub fn count(&self) -> usize {
        1 + self.others.len() + self.more
    }

    /// The notices, without those that are only counted.
    pub(crate) fn notices(&self) -> impl Iterator<Item = &Notice> {
        [&self.first]
            .into_iter()
            .chain(&self.others)
            .map(AsRef::as_ref)
    }

    /// The time of the last notice.
    pub(crate) fn at(&self) -> Timestamp {
        let at = self.notices().map(|notice| notice.at).max();
        at.unwrap_or(self.first.at)
    }

    /// The ID of the notice; for several, a hash of their IDs.
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
