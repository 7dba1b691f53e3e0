//! Workloads as users write them, and waiting for their states.

mod deployment;
mod kinds;
pub mod many;
mod progress;
mod wait;

pub use deployment::{Deployment, ENABLED_LABEL};
pub(crate) use kinds::dynamic;
pub use kinds::{DaemonSet, Kind, StatefulSet, UnknownKind};
pub use progress::is_rolled_out_as;
pub use wait::{TimedOut, each_thousand, eventually, is_rolled_out, rolled_out, wait_until};
