//! The simulated nodes: what pods report, and what runs in them.
#![cfg(test)] // so that clippy knows the functions between the tests as tests' own

pub(crate) mod bench;
mod failures;
mod identity;
mod lifecycle;
