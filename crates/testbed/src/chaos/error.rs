//! Why a run was aborted.

use std::io;

use crate::{
    admission, control_plane, controller, environment, image::RequestError, process,
    registry as server,
};

/// Why a run was aborted.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A namespace or the controller is not there.
    #[error("the world could not be made")]
    Environment(#[from] environment::Error),
    /// The API server refuses what it should not.
    #[error("the API server did not do what was asked")]
    Api(#[from] kube::Error),
    /// A workload of ours is none.
    #[error("a workload could not be described")]
    Object(#[from] serde_json::Error),
    /// An image could not be pushed.
    #[error("an image could not be pushed")]
    Push(#[from] RequestError),
    /// The control plane did not restart.
    #[error("the control plane did not come back")]
    ControlPlane(#[from] control_plane::Error),
    /// The registry did not restart.
    #[error("the registry did not come back")]
    Registry(#[from] server::Error),
    /// The controller did not restart.
    #[error("the controller did not come back")]
    Controller(#[from] controller::Error),
    /// The controller's process cannot be signalled.
    #[error("the controller could not be ended")]
    Process(#[from] process::Error),
    /// The audit log cannot be read.
    #[error("the audit log could not be read")]
    Audit(#[from] process::LogError),
    /// An admission policy is not in force.
    #[error("an admission policy is not in force")]
    Admission(#[from] admission::Error),
    /// There is no port for the way to the registry.
    #[error("there is no way to the registry")]
    Way(#[from] io::Error),
    /// The workloads did not start before the first fault.
    #[error("the workloads did not come up: {0}")]
    NotUp(String),
}
