#![doc = include_str!("../README.md")]

mod attempts;
mod card;
mod dedup;
mod event;
mod format;
mod message;
mod notice;
mod outbox;
mod signature;
mod sink;

pub use crate::{
    attempts::{Attempts, SinkResponse, Verdict},
    event::{Event, UnknownEvent},
    format::Body,
    message::Message,
    notice::{Container, Notice, Refused, Version, Workload},
    outbox::{Next, Outbox, PushResult},
    signature::{EmptyKey, SIGNATURE_HEADER, SigningKey},
    sink::{
        Group, InvalidTarget, Problem, Sink, SinkSettings, SinkType, Target, UnknownGroup,
        UnknownType, sinks,
    },
};
