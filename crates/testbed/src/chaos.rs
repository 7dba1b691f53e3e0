//! Many workloads under faults that are drawn from a seed, and a judge of the outcome.
//!
//! Two replicas of the controller watch workloads of three kinds in three namespaces, while tags move, owners edit their
//! workloads, pods are deleted or not ready, nodes are cut off, admission changes images, and the API server, two
//! registries, a mirror and the controller fail in every way. Then all faults end, everything has to settle, and the logs of
//! all participants are compared: see [`judge`](mod@judge).

mod error;
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
mod retry;
mod rng;
mod settle;
mod workloads;
mod world;

use std::path::Path;

use tokio::time::Instant;

pub use error::Error;
pub use plan::{Plan, Scale};
pub use report::Report;

use crate::Testbed;
use world::World;

/// Runs a plan with this program as the controller, and judges the outcome. `progress` is called with lines of progress.
///
/// # Errors
///
/// When the testbed itself fails.
pub async fn run(
    testbed: &Testbed,
    program: &Path,
    plan: &Plan,
    progress: &(dyn Fn(&str) + Sync),
) -> Result<Report, Error> {
    progress(&format!("{} workloads come up", plan.scale.workloads));
    let mut world = World::new(testbed, plan).await?;
    settle::up(&world).await?;
    world.start(program, plan).await?;
    progress("faults begin");
    let begun = Instant::now();
    lanes::run(&world, plan, begun).await?;
    progress("all faults are over");
    let settled = settle::settle(&world, progress).await?;
    progress("everything is at rest, or was given up");
    report::report(&world, plan, settled).await
}
