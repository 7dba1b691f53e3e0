//! A pod on its node, as pure data: its containers, what is to be done next, and the status that follows.

pub(super) mod container;
pub(super) mod lifecycle;
pub(super) mod object;
pub(super) mod status;
