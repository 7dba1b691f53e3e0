//! The phases of a run, one after the other.

use std::{path::Path, time::Duration};

use jiff::Timestamp;
use kube_autorollout_testbed::{
    clock::now, controller::Controller, program::Failure, workload::ENABLED_LABEL,
};
use serde_json::json;
use tokio::time::{sleep, timeout};

use super::{
    cluster::Cluster, figures::Phase, latencies::Latencies, meter::Meter, status,
    timeline::Timeline,
};
use crate::arguments::{Options, PROGRAM, Part};

/// How exactly the first request is waited for.
const POLL: Duration = Duration::from_millis(5);

/// How long the API server is away.
const OUTAGE: Duration = Duration::from_secs(5);

/// How many workloads lose and get back their label.
const TOGGLED: usize = 1000;

/// Ticks after which something that has not happened will not happen.
const TICKS: u32 = 3;

/// Everything that happens to one program.
pub(crate) async fn all(
    cluster: &Cluster<'_>,
    program: &Path,
    arguments: &Options,
) -> Result<Vec<Phase>, Failure> {
    PROGRAM.progress("start-up");
    let meter = Meter::start(cluster.testbed, &cluster.namespace, None)?;
    let controller = cluster.start(program).await?;
    // Reading the metrics of thousands costs the program something, one at the registry's log does not.
    cluster
        .wait("every tag is asked for", async || {
            Ok(meter.manifests()? >= cluster.many.tags)
        })
        .await?;
    cluster.settled(&controller, cluster.many.workloads).await?;
    let mut phases = Vec::new();
    // Figures are reported at once, as a run of many minutes may fail later
    let mut add = |more: Vec<Phase>| {
        for phase in &more {
            PROGRAM.progress(&format!("measured\n{phase}"));
        }
        phases.extend(more);
    };
    add(vec![meter.read("start-up to first check", &controller)?]);
    PROGRAM.progress("quiet");
    add(vec![quiet(cluster, &controller, arguments.quiet).await?]);
    let mut images = Images {
        first: "first",
        others: "first",
    };
    for part in &arguments.phases {
        add(self::part(*part, cluster, &controller, &mut images).await?);
    }
    Ok(phases)
}

/// What the tags name by now.
struct Images {
    first: &'static str,
    others: &'static str,
}

async fn part(
    part: Part,
    cluster: &Cluster<'_>,
    controller: &Controller,
    images: &mut Images,
) -> Result<Vec<Phase>, Failure> {
    match part {
        Part::Status => {
            PROGRAM.progress("somebody asks where the workloads stand");
            Ok(vec![status::asked(cluster, controller).await?])
        }
        Part::OneTag => {
            PROGRAM.progress("one tag moves");
            images.first = "moved";
            Ok(vec![one_tag(cluster, controller, images.first).await?])
        }
        Part::AllTags => {
            PROGRAM.progress("all tags move");
            [images.first, images.others] = ["second"; 2];
            Ok(vec![all_tags(cluster, controller, images.others).await?])
        }
        Part::Attestations => {
            PROGRAM.progress("attestation-only re-push of all tags");
            Ok(vec![attestations(cluster, controller, images).await?])
        }
        Part::Labels => {
            PROGRAM.progress("labels are taken away and given back");
            Ok(labels(cluster, controller).await?.into())
        }
        Part::Restart => {
            PROGRAM.progress("the API server restarts");
            Ok(vec![restart(cluster, controller).await?])
        }
    }
}

async fn quiet(
    cluster: &Cluster<'_>,
    controller: &Controller,
    watched: Duration,
) -> Result<Phase, Failure> {
    let meter = Meter::start(cluster.testbed, &cluster.namespace, Some(controller))?;
    sleep(watched).await;
    let mut phase = meter.read("quiet", controller)?;
    let checks = watched.as_secs_f64() / cluster.interval.as_secs_f64();
    let per_hour = 3600.0 / watched.as_secs_f64();
    let lists = phase
        .api
        .iter()
        .filter(|(what, _)| what.starts_with("list "));
    phase.remarks.push(format!(
        "per check: {:.3} s cpu, {:.1} requests to the registry, {:.2} to the API server; an hour: {:.0} to the API server, of these {:.0} lists",
        phase.cpu.as_secs_f64() / checks,
        total(&phase.registry) / checks,
        total(&phase.api) / checks,
        total(&phase.api) * per_hour,
        total(lists) * per_hour,
    ));
    Ok(phase)
}

#[expect(
    clippy::cast_precision_loss,
    reason = "counts of requests are far below the precision of a float"
)]
fn total<'a>(counts: impl IntoIterator<Item = (&'a String, &'a u64)>) -> f64 {
    counts.into_iter().map(|(_, count)| *count).sum::<u64>() as f64
}

async fn one_tag(
    cluster: &Cluster<'_>,
    controller: &Controller,
    image: &str,
) -> Result<Phase, Failure> {
    let many = &cluster.many;
    let meter = Meter::start(cluster.testbed, &cluster.namespace, Some(controller))?;
    many.push(&cluster.pusher, 0, image, "build 1").await?;
    let pushed = now();
    let on_it = many.workloads.div_ceil(many.tags);
    moved(cluster, controller, meter, "one tag moves", pushed, on_it).await
}

/// The tags move while the program is stopped in its tracks, so that one check sees all of them moved.
async fn all_tags(
    cluster: &Cluster<'_>,
    controller: &Controller,
    image: &str,
) -> Result<Phase, Failure> {
    let many = &cluster.many;
    many.up(&cluster.namespace, many.workloads).await?;
    controller.server().pause().await?;
    many.push_all(&cluster.pusher, image, "build 1").await?;
    let meter = Meter::start(cluster.testbed, &cluster.namespace, Some(controller))?;
    cluster.forwarder.expect();
    controller.server().resume().await?;
    let first = first_request(cluster).await?;
    let window = Meter::start(cluster.testbed, &cluster.namespace, Some(controller))?;
    cluster.patched(&meter, many.workloads).await?;
    let mut others = window.others();
    others.each.insert("the program", window.cpu(controller)?);
    let asked = meter.asked()?;
    cluster.settled(controller, many.workloads).await?;
    let mut phase = finished(meter, controller, "all tags move", first, many.workloads)?;
    phase.timeline = Timeline::new(first, &asked);
    phase.others = others;
    Ok(phase)
}

/// Waits for the first request to the registry, at the next tick.
async fn first_request(cluster: &Cluster<'_>) -> Result<Timestamp, Failure> {
    let asked = async {
        loop {
            if let Some(first) = cluster.forwarder.first() {
                return first;
            }
            sleep(POLL).await;
        }
    };
    let asked = timeout(cluster.interval * TICKS, asked).await;
    asked.map_err(|_| "nobody asks the registry".into())
}

/// Waits until this many workloads are patched and everything is up to date again.
async fn moved(
    cluster: &Cluster<'_>,
    controller: &Controller,
    meter: Meter<'_>,
    name: &'static str,
    since: Timestamp,
    workloads: usize,
) -> Result<Phase, Failure> {
    cluster.patched(&meter, workloads).await?;
    cluster.settled(controller, cluster.many.workloads).await?;
    finished(meter, controller, name, since, workloads)
}

fn finished(
    meter: Meter<'_>,
    controller: &Controller,
    name: &'static str,
    since: Timestamp,
    workloads: usize,
) -> Result<Phase, Failure> {
    let patches = meter.patches()?;
    let count = patches.len();
    let mut phase = meter.read(name, controller)?;
    phase.latencies = Latencies::since(since, patches.into_iter());
    if count != workloads {
        phase
            .remarks
            .push(format!("{count} patches for {workloads} workloads"));
    }
    Ok(phase)
}

async fn attestations(
    cluster: &Cluster<'_>,
    controller: &Controller,
    images: &Images,
) -> Result<Phase, Failure> {
    let many = &cluster.many;
    let meter = Meter::start(cluster.testbed, &cluster.namespace, Some(controller))?;
    for tag in 0..many.tags {
        let image = if tag == 0 {
            images.first
        } else {
            images.others
        };
        many.push(&cluster.pusher, tag, image, "build 2").await?;
    }
    sleep(cluster.interval * TICKS).await;
    let patches = meter.patches()?.len();
    let mut phase = meter.read("attestation-only re-push", controller)?;
    phase.remarks.push(format!("{patches} patches"));
    Ok(phase)
}

async fn labels(cluster: &Cluster<'_>, controller: &Controller) -> Result<[Phase; 2], Failure> {
    let label = |value| json!({"metadata": {"labels": {ENABLED_LABEL: value}}});
    let (many, namespace) = (&cluster.many, &cluster.namespace);
    let toggled = many.workloads.min(TOGGLED);
    let meter = Meter::start(cluster.testbed, namespace, Some(controller))?;
    many.patch(namespace, toggled, &label("false")).await?;
    cluster
        .settled(controller, many.workloads - toggled)
        .await?;
    let taken = meter.read("label taken away", controller)?;
    let meter = Meter::start(cluster.testbed, namespace, Some(controller))?;
    many.patch(namespace, toggled, &label("true")).await?;
    cluster.settled(controller, many.workloads).await?;
    let given = meter.read("label given back", controller)?;
    Ok([taken, given])
}

async fn restart(cluster: &Cluster<'_>, controller: &Controller) -> Result<Phase, Failure> {
    let meter = Meter::start(cluster.testbed, &cluster.namespace, Some(controller))?;
    let control_plane = cluster.testbed.control_plane();
    control_plane.stop_api_server();
    sleep(OUTAGE).await;
    control_plane.start_api_server().await?;
    sleep(cluster.interval * TICKS).await;
    cluster.settled(controller, cluster.many.workloads).await?;
    meter.read("API server restart", controller)
}
