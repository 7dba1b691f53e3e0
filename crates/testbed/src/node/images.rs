//! The images of a node: what it has, under which names, and how it pulls others.

pub(super) mod failure;
pub(super) mod names;
pub(super) mod platform;
pub(super) mod pull;
pub(super) mod runtime;
pub(super) mod store;
