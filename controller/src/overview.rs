//! The overview of all workloads, built from the state in memory without any request.
//!
//! Rows are built while the client reads them, each from the stores that its last reconcile used, and none is kept.

mod forwarder;
mod handler;
mod rows;
mod survey;

pub(crate) use self::{forwarder::Forwarder, handler::Handler};
