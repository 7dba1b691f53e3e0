//! The programs that are measured, one after the other in the same testbed.

use std::{fs, path::Path, time::Duration};

use serde_json::json;
use tokio::time::Instant;

use super::{
    Failure, PROGRAM,
    arguments::Arguments,
    cluster::Cluster,
    figures::{Program, Report},
    phases, tell,
};

/// Measures our program, the other one if there is one, and how long as many bare patches take.
pub(super) async fn measure_all(arguments: &Arguments) -> Result<Report, Failure> {
    let (testbed, ours) = PROGRAM.prepared(arguments.program.as_deref()).await?;
    let mut measured = Vec::new();
    let mut bare_patches = Duration::ZERO;
    let candidate = arguments
        .candidate
        .as_deref()
        .map(|path| ("candidate", path));
    for (name, path) in [("kube-autorollout", &*ours)].into_iter().chain(candidate) {
        tell(&format!(
            "{name}: {} Deployments come up",
            arguments.workloads
        ));
        let cluster = Cluster::set_up(&testbed, name, arguments).await?;
        measured.push(program(&cluster, name, path, arguments).await?);
        tell("bare patches");
        bare_patches = patch_all(&cluster).await?;
    }
    Ok(Report {
        workloads: arguments.workloads,
        tags: arguments.tags,
        latency: arguments.latency,
        programs: measured,
        bare_patches,
    })
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

/// The API server's own limit: as many patches of templates, over as many connections, with nothing decided.
async fn patch_all(cluster: &Cluster<'_>) -> Result<Duration, Failure> {
    let annotations = json!({"kube-autorollout-bench": "bare"});
    let patch = json!({"spec": {"template": {"metadata": {"annotations": annotations}}}});
    let begun = Instant::now();
    cluster.many.patch(&cluster.namespace, &patch).await?;
    Ok(begun.elapsed())
}
