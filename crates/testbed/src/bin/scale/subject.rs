//! The programs that are measured, one after the other in the same testbed.

use std::{fs, path::Path};

use kube_autorollout_testbed::control_plane::NodeGrace;

use super::{
    Failure, PROGRAM,
    arguments::{Arguments, Part},
    bare,
    cluster::Cluster,
    figures::{Bare, Program, Report},
    phases, tell,
};

/// Measures our program and the other one if there is one, each between as many bare patches where all tags move.
pub(super) async fn measure_all(arguments: &Arguments) -> Result<Report, Failure> {
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
        tell(&format!(
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
    arguments: &Arguments,
) -> Result<Vec<Bare>, Failure> {
    if !arguments.phases.contains(&Part::AllTags) {
        return Ok(Vec::new());
    }
    let mut all = Vec::new();
    for time in 1..=bare::TIMES {
        tell(&format!("bare patches {when} {name}: {time}"));
        let when = format!("{when} {name}");
        let bare = bare::patch_all(cluster, when).await?;
        tell(&format!("measured\n{bare}"));
        all.push(bare);
    }
    Ok(all)
}

async fn program(
    cluster: &Cluster<'_>,
    name: &str,
    path: &Path,
    arguments: &Arguments,
) -> Result<Program, Failure> {
    Ok(Program {
        name: name.to_owned(),
        size: fs::metadata(path)?.len(),
        phases: phases::all(cluster, path, arguments).await?,
    })
}
