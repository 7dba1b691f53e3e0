//! Many workloads through faults that a seed draws, and a judge of what became of them.
//!
//! Two replicas of the controller watch workloads of three kinds in three namespaces, while tags move, owners change
//! their minds, pods are deleted or not ready, nodes are away, admission changes images, and the API server, two registries,
//! a mirror and the controller fail in every way. Then all is well again and everything has to come to rest, and the logs of those who took part are held against each other: see
//! [`judge`](mod@judge).

mod cast;
mod dice;
mod fold;
pub mod history;
pub mod judge;
mod lanes;
mod notes;
mod owners;
pub mod plan;
mod pods;
mod registry;
mod report;
mod settle;
mod world;

use std::{io, path::Path};

use tokio::time::Instant;

pub use plan::{Plan, Scale};
pub use report::Report;

use crate::{
    Testbed, admission, control_plane, controller, environment, image::RequestError,
    registry as server,
};
use world::World;

/// How many replicas of the controller there are.
const REPLICAS: usize = 2;

/// Why a run did not come to its end.
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
    /// The control plane does not come back.
    #[error("the control plane did not come back")]
    ControlPlane(#[from] control_plane::Error),
    /// The registry does not come back.
    #[error("the registry did not come back")]
    Registry(#[from] server::Error),
    /// The controller does not come back.
    #[error("the controller did not come back")]
    Controller(#[from] controller::Error),
    /// The controller's process cannot be signalled.
    #[error("the controller could not be ended")]
    Process(#[from] crate::process::Error),
    /// The audit log cannot be read.
    #[error("the audit log could not be read")]
    Audit(#[from] control_plane::AuditError),
    /// An admission policy is not in force.
    #[error("an admission policy is not in force")]
    Admission(#[from] admission::Error),
    /// There is no port for the way to the registry.
    #[error("there is no way to the registry")]
    Way(#[from] io::Error),
    /// The workloads did not come up before the first fault.
    #[error("the workloads did not come up: {0}")]
    NotUp(String),
}

/// Runs a plan with this program as the controller, and judges what came of it. `progress` is called with what happens.
///
/// # Errors
///
/// When the testbed itself does not do what the plan asks of it.
pub async fn run(
    testbed: &Testbed,
    program: &Path,
    plan: &Plan,
    progress: &(dyn Fn(&str) + Sync),
) -> Result<Report, Error> {
    progress(&format!("{} workloads come up", plan.scale.workloads));
    let world = World::new(testbed, program, plan).await?;
    progress("faults begin");
    let begun = Instant::now();
    lanes::run(&world, plan, begun).await?;
    progress("all faults are over");
    let settled = settle::settle(&world, progress).await?;
    progress("everything is at rest, or was given up");
    report::report(&world, plan, settled).await
}
