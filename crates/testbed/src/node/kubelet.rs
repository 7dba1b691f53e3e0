//! The kubelets of the nodes: they register, watch for pods, and run each to its end.

mod processes;
pub(super) mod registration;
pub(super) mod watch;
mod worker;
mod writer;
