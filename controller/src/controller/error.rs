//! Why a workload is not decided or rolled out.

use crate::{observe::pods, rollout::patch, workload::Unreadable};

/// What keeps a workload from being decided or rolled out at all.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// Its pods cannot be read.
    #[error(transparent)]
    Observe(#[from] pods::Error),
    /// It cannot be written.
    #[error(transparent)]
    Patch(#[from] patch::Error),
    /// The API server's object is not what this version knows as such a workload.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    /// A defect of ours.
    #[error("the reconcile panicked")]
    Panicked,
}
