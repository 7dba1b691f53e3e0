//! What the controller costs with many workloads: requests, CPU, memory and latencies, phase by phase.

mod bare;
pub(crate) mod brown_out;
mod cluster;
mod figures;
mod latencies;
mod meter;
mod others;
mod phases;
mod status;
mod timeline;

use std::{fs, path::Path};

use kube_autorollout_testbed::{control_plane::NodeGrace, program::Failure};

use crate::arguments::{Options, PROGRAM, Part};
use cluster::Cluster;
use figures::{Bare, Program};

pub(crate) use figures::Report;

/// Measures our program and the other one if there is one, each between as many bare patches where all tags move.
pub(crate) async fn measure(arguments: &Options) -> Result<Report, Failure> {
    let (testbed, ours) = PROGRAM
        .prepared(arguments.program.as_deref(), NodeGrace::default())
        .await?;
    let mut programs = Vec::new();
    let mut bare = Vec::new();
    let candidate = arguments
        .candidate
        .as_deref()
        .map(|path| ("candidate", path));
    for (name, path) in [("kube-autorollout", &*ours)].into_iter().chain(candidate) {
        PROGRAM.progress(&format!(
            "{name}: {} workloads come up",
            arguments.workloads
        ));
        let cluster = Cluster::set_up(&testbed, name, arguments).await?;
        bare.extend(patches(&cluster, "before", name, arguments).await?);
        programs.push(program(&cluster, name, path, arguments).await?);
        bare.extend(patches(&cluster, "after", name, arguments).await?);
    }
    Ok(Report {
        workloads: arguments.workloads,
        tags: arguments.tags,
        kinds: arguments.kinds.clone(),
        latency: arguments.latency,
        programs,
        bare,
    })
}

async fn patches(
    cluster: &Cluster<'_>,
    when: &str,
    name: &str,
    arguments: &Options,
) -> Result<Vec<Bare>, Failure> {
    if !arguments.phases.contains(&Part::AllTags) {
        return Ok(Vec::new());
    }
    let mut all = Vec::new();
    for time in 1..=bare::TIMES {
        PROGRAM.progress(&format!("bare patches {when} {name}: {time}"));
        let when = format!("{when} {name}");
        let bare = bare::patch_all(cluster, when).await?;
        PROGRAM.progress(&format!("measured\n{bare}"));
        all.push(bare);
    }
    Ok(all)
}

async fn program(
    cluster: &Cluster<'_>,
    name: &str,
    path: &Path,
    arguments: &Options,
) -> Result<Program, Failure> {
    Ok(Program {
        name: name.to_owned(),
        size: fs::metadata(path)?.len(),
        phases: phases::all(cluster, path, arguments).await?,
    })
}
