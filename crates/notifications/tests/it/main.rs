//! Messages from events to the bodies of requests.
#![cfg(test)] // so that clippy knows the functions between the tests as tests' own

mod attempts;
mod corpus;
mod documentation;
mod given;
mod harmless;
mod outbox;
mod rendering;
mod schema;
mod sinks;
