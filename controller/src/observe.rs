//! Gathers what a decision needs to know: the workload's own state, its pods, and what registries say of its tags.
//!
//! What one container's registry does not tell is data of that container; only what concerns the whole workload is an
//! error.

mod container;
mod manifests;

use std::{sync::Arc, time::Duration};

use futures::future;
use jiff::Timestamp;
use kube_autorollout_core::{
    annotations::{self, ContainerKind, Settings, TemplateContainer},
    decide::{Container, Observed},
    record::Record,
};

use self::container::{Learnt, Look, Seen};
use crate::{
    context::Context,
    observation::Observation,
    pods::{self, Pods},
    workload::{Progress, Workload},
};

/// How fresh the facts must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Freshness {
    /// When the current tick began: tags must have been asked for since.
    pub(crate) tick: Timestamp,
    /// Pods of a rollout in flight are looked at.
    pub(crate) look: bool,
    /// How old pods may be that were read in this state of the workload.
    pub(crate) pods: Duration,
    /// Pods must have been read after a registry was asked then, and tags have been asked for after what runs was pulled.
    /// A rollout needs that, or an old answer would restart pods that are newer than it.
    pub(crate) asked: Option<Timestamp>,
}

/// Observes a workload.
///
/// `generation` is one that the workload is known to have reached: an object of an earlier one is news from the past.
///
/// # Errors
///
/// When its pods cannot be read.
pub(crate) async fn workload(
    workload: &Workload,
    settings: &Settings,
    generation: i64,
    freshness: Freshness,
    context: &Context,
) -> Result<Observation, pods::Error> {
    let progress = workload.progress();
    let up_to_date =
        progress.generation_observed && workload.meta().generation.unwrap_or(0) >= generation;
    let nothing_to_see = progress.is_in_flight() && !progress.deadline_exceeded && !freshness.look;
    if progress.paused || !up_to_date || !progress.wants_pods || nothing_to_see {
        // Decided without looking further.
        let observed = observed(workload, progress, up_to_date, Vec::new(), context);
        return Ok(Observation::unseen(observed));
    }
    let pods = match freshness.asked {
        Some(asked) => {
            context
                .pods
                .certain(workload, freshness.pods, asked)
                .await?
        }
        None => context.pods.get(workload, freshness.pods).await?,
    };
    let record = record(workload);
    let containers = workload.template().containers();
    // A plain init container is none of ours unless its name was asked for.
    let ours = |container: &&TemplateContainer| {
        container.kind != ContainerKind::Init || settings.selected.contains(&container.name)
    };
    let looks = containers.iter().filter(ours).map(|container| Look {
        container: &container.name,
        image: workload
            .template()
            .image(&container.name)
            .unwrap_or_default(),
        selected: settings.selected.contains(&container.name),
        recorded: record.digest(&container.name),
        remembered: context.memory.remembered(workload.uid(), &container.name),
        namespace: workload.namespace(),
        pods: &pods,
        freshness,
        context,
    });
    let (containers, learnt) = future::join_all(looks.map(Look::take))
        .await
        .into_iter()
        .map(Seen::parted)
        .unzip();
    let observed = observed(workload, progress, pods.template_found, containers, context);
    Ok(gathered(observed, pods, learnt))
}

/// What is decided upon, with what was learnt besides.
fn gathered(observed: Observed, pods: Arc<Pods>, learnt: Vec<Learnt>) -> Observation {
    let mut gathered = Observation {
        pods,
        ..Observation::unseen(observed)
    };
    let mut tags = Vec::new();
    for learnt in learnt {
        gathered.failures.extend(learnt.failure);
        if let Some((tag, begun)) = learnt.tag {
            gathered.asked = gathered.asked.max(begun);
            if !tags.contains(&tag) {
                tags.push(tag);
            }
        }
    }
    gathered.tags = Some(tags);
    gathered
}

fn observed(
    workload: &Workload,
    progress: Progress,
    generation_observed: bool,
    containers: Vec<Container>,
    context: &Context,
) -> Observed {
    let names = workload.template().containers();
    Observed {
        paused: progress.paused,
        generation_observed,
        wants_pods: progress.wants_pods,
        complete: progress.complete,
        deadline_exceeded: progress.deadline_exceeded,
        on_delete: progress.on_delete,
        record: record(workload),
        last_rollout: workload.last_rollout(context.restarted_at),
        template_containers: names.into_iter().map(|container| container.name).collect(),
        containers,
    }
}

/// What the workload was last rolled out to, by its own account.
fn record(workload: &Workload) -> Record {
    let written = workload.template().annotation(annotations::DIGESTS);
    written.and_then(Record::parse).unwrap_or_default()
}
