//! A pod on its node, as pure data: its containers, the next action, and the resulting status.

pub(super) mod container;
pub(super) mod lifecycle;
pub(super) mod object;
pub(super) mod status;
