//! What waits to be sent to one sink: grouped, each event once, and never more than a bound.

use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};

use crate::{
    message::Message,
    notice::Notice,
    once::Once,
    sink::{Group, Sink},
};

/// Messages that wait; a further one takes the place of the oldest.
const MOST: usize = 256;

/// A group is complete when nothing came for so long that belongs to it.
const QUIET: Duration = Duration::from_secs(15);

/// A group is sent at the latest so long after its first event, however many follow.
const LONGEST: Duration = Duration::from_secs(60);

/// The messages to one sink that are not sent yet.
#[derive(Debug)]
pub struct Outbox {
    sink: Arc<Sink>,
    once: Once,
    waiting: VecDeque<Waiting>,
    /// Groups are not waited for any more.
    closing: bool,
}

#[derive(Debug)]
struct Waiting {
    message: Message,
    /// The images that it is for, joined, where it may grow.
    group: Option<String>,
    since: Instant,
    complete: Instant,
}

/// What became of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// The sink is not sent such events, or it was sent this one already.
    Ignored,
    /// It waits, alone or with others.
    Waiting,
    /// The same, and the oldest message was dropped for it.
    Displaced,
}

/// What to do next.
#[derive(Debug, Clone, PartialEq)]
pub enum Next {
    /// Send this message.
    Send(Message),
    /// Nothing before then.
    Wait(Instant),
    /// Nothing before another event is taken.
    Idle,
}

impl Outbox {
    /// Nothing waits.
    pub fn new(sink: Arc<Sink>) -> Self {
        Self {
            sink,
            once: Once::default(),
            waiting: VecDeque::new(),
            closing: false,
        }
    }

    /// Takes an event, if the sink is sent such, and was not sent it before.
    pub fn take(&mut self, notice: &Arc<Notice>, now: Instant) -> Taken {
        if !self.sink.takes(notice) || !self.once.is_news(notice, now) {
            return Taken::Ignored;
        }
        let (group, wait) = match self.sink.group() {
            Group::None => (None, Duration::ZERO),
            Group::Image => (Some(notice.images().join(" ")), QUIET),
            Group::All => (Some(String::new()), QUIET),
        };
        let same = |waiting: &&mut Waiting| {
            let grows = group.is_some() && waiting.group == group;
            grows && waiting.message.event == notice.event
        };
        if let Some(waiting) = self.waiting.iter_mut().find(same) {
            waiting.message.add(notice);
            waiting.complete = (now + QUIET).min(waiting.since + LONGEST);
            return Taken::Waiting;
        }
        let displaced = self.waiting.len() >= MOST;
        if displaced {
            self.waiting.pop_front();
        }
        self.waiting.push_back(Waiting {
            message: Message::new(notice),
            group,
            since: now,
            complete: now + wait,
        });
        if displaced {
            Taken::Displaced
        } else {
            Taken::Waiting
        }
    }

    /// The first message that is complete, or when one will be. A message that waits longer, as others are being sent, goes
    /// on growing.
    pub fn next(&mut self, now: Instant) -> Next {
        let closing = self.closing;
        let mut all = self.waiting.iter();
        let complete = all.position(|waiting| closing || waiting.complete <= now);
        if let Some(waiting) = complete.and_then(|place| self.waiting.remove(place)) {
            return Next::Send(waiting.message);
        }
        let next = self.waiting.iter().map(|waiting| waiting.complete).min();
        next.map_or(Next::Idle, Next::Wait)
    }

    /// From now on no group is waited for.
    pub fn close(&mut self) {
        self.closing = true;
    }

    /// How many messages wait.
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether none does.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}
