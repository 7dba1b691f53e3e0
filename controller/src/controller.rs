//! Reconciles workloads.

pub(crate) mod context;
pub(crate) mod count;
pub(crate) mod informer;
pub(crate) mod queue;
pub(crate) mod reconciler;
pub(crate) mod retry;
pub(crate) mod selected;
pub(crate) mod triggers;
