//! The bounded queue of messages for one sink, grouped and deduplicated.

use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};

use crate::{
    dedup::Deduplicator,
    message::Message,
    notice::Notice,
    sink::{Group, Sink},
};

/// The most pending messages; a further one displaces the oldest.
const CAPACITY: usize = 256;

/// A group is complete when no notice was added for this long.
const QUIET_PERIOD: Duration = Duration::from_secs(15);

/// A group is complete this long after its first notice at the latest.
const MAX_DELAY: Duration = Duration::from_secs(60);

/// The pending messages for one sink.
#[derive(Debug)]
pub struct Outbox {
    sink: Arc<Sink>,
    deduplicator: Deduplicator,
    pending: VecDeque<Pending>,
    /// All messages are complete.
    closing: bool,
}

#[derive(Debug)]
struct Pending {
    message: Message,
    /// The key of the group, unless the message is for a single notice.
    group: Option<String>,
    created: Instant,
    complete: Instant,
}

/// The result of [`Outbox::push`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PushResult {
    /// The sink does not accept the notice, or has received it already.
    Ignored,
    /// It was added to a new or pending message.
    Queued,
    /// It was added, and the oldest message was dropped.
    Displaced,
}

/// What to do next.
#[derive(Debug, Clone, PartialEq)]
pub enum Next {
    /// Send this message.
    Send(Message),
    /// No message is complete before this instant.
    Wait(Instant),
    /// No message is pending.
    Idle,
}

impl Outbox {
    /// An empty outbox.
    pub fn new(sink: Arc<Sink>) -> Self {
        Self {
            sink,
            deduplicator: Deduplicator::default(),
            pending: VecDeque::new(),
            closing: false,
        }
    }

    /// Adds a notice, if the sink accepts it and has not received it before.
    pub fn push(&mut self, notice: &Arc<Notice>, now: Instant) -> PushResult {
        if !self.sink.accepts(notice) || !self.deduplicator.is_new(notice, now) {
            return PushResult::Ignored;
        }
        let (group, wait) = match self.sink.group() {
            Group::None => (None, Duration::ZERO),
            Group::Image => (Some(notice.subject()), QUIET_PERIOD),
            Group::All => (Some(String::new()), QUIET_PERIOD),
        };
        let is_same = |pending: &&mut Pending| {
            let is_same_group = group.is_some() && pending.group == group;
            is_same_group && pending.message.event == notice.event
        };
        if let Some(pending) = self.pending.iter_mut().find(is_same) {
            pending.message.add(notice);
            pending.complete = (now + QUIET_PERIOD).min(pending.created + MAX_DELAY);
            return PushResult::Queued;
        }
        let is_full = self.pending.len() >= CAPACITY;
        if is_full {
            self.pending.pop_front();
        }
        self.pending.push_back(Pending {
            message: Message::new(notice),
            group,
            created: now,
            complete: now + wait,
        });
        if is_full {
            PushResult::Displaced
        } else {
            PushResult::Queued
        }
    }

    /// Removes the first complete message, or returns when one will be complete. Until then, a message keeps growing.
    pub fn next(&mut self, now: Instant) -> Next {
        let closing = self.closing;
        let mut all = self.pending.iter();
        let complete = all.position(|pending| closing || pending.complete <= now);
        if let Some(pending) = complete.and_then(|index| self.pending.remove(index)) {
            return Next::Send(pending.message);
        }
        let next = self.pending.iter().map(|pending| pending.complete).min();
        next.map_or(Next::Idle, Next::Wait)
    }

    /// Completes all messages, present and future.
    pub fn close(&mut self) {
        self.closing = true;
    }

    /// The number of pending messages.
    pub fn len(&self) -> usize {
        self.pending.len()
    }

    /// Whether no message is pending.
    pub fn is_empty(&self) -> bool {
        self.pending.is_empty()
    }
}
