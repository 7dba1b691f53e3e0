//! Gathers what a decision needs to know: the workload's own state, its pods, and what registries say of its tags.
//!
//! What one container's registry does not tell is data of that container; only what concerns the whole workload is an
//! error.

mod comparison;
mod container;
mod image;
mod manifests;
pub(crate) mod nodes;
pub(crate) mod observation;
pub(crate) mod pods;
pub(crate) mod tags;

use std::{sync::Arc, time::Duration};

use futures::future;
use jiff::Timestamp;
use kube_autorollout_core::{
    annotations::{self, ContainerKind, Settings, TemplateContainer},
    decide::{Container, Observed},
    record::{Attempts, Record},
};

use self::{
    comparison::Asking,
    container::{Learnt, Look, Seen},
    pods::Pods,
};
use crate::{
    clock,
    controller::context::Context,
    observe::observation::{Observation, PROGRESS_DEADLINE},
    status::Followed,
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
/// `followed` is what is remembered of its rollout: an object of an earlier generation than that reached is news from the
/// past.
///
/// # Errors
///
/// When its pods cannot be read.
pub(crate) async fn workload(
    workload: &Workload,
    settings: &Settings,
    followed: Followed,
    freshness: Freshness,
    context: &Context,
) -> Result<Observation, pods::Error> {
    let progress = workload.progress();
    let reached = workload.meta().generation.unwrap_or(0) >= followed.generation;
    let up_to_date = progress.generation_observed && reached;
    let runs = progress.is_in_flight() || (followed.unfinished && !progress.complete);
    let nothing_to_see = runs && progress.deadline_exceeded != Some(true) && !freshness.look;
    if progress.paused || !up_to_date || !progress.wants_pods || nothing_to_see {
        // Decided without looking further.
        let observed = Observed {
            generation_observed: up_to_date,
            unfinished: followed.unfinished,
            ..observed(workload, Vec::new(), context)
        };
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
        remembered: context.memory.remembered(workload.uid(), &container.name),
        pods: &pods,
        asking: Asking {
            namespace: workload.namespace(),
            recorded: record.digest(&container.name),
            listed: pods.begun,
            freshness,
            context,
        },
    });
    let (containers, learnt) = future::join_all(looks.map(Look::take))
        .await
        .into_iter()
        .map(Seen::parted)
        .unzip();
    let observed = observed(workload, containers, context);
    let observed = beside_pods(observed, progress, followed, &pods);
    Ok(gathered(observed, pods, learnt))
}

/// What the object says of its rollout, as its pods bear it out.
fn beside_pods(
    observed: Observed,
    progress: Progress,
    followed: Followed,
    pods: &Pods,
) -> Observed {
    let observed = Observed {
        generation_observed: pods.template_found,
        replacing: progress.replacing && pods.older.unwrap_or(true),
        unfinished: followed.unfinished,
        ..observed
    };
    let reported = progress.deadline_exceeded;
    Observed {
        deadline_exceeded: reported.unwrap_or_else(|| is_late(&observed, pods, followed)),
        ..observed
    }
}

/// Whether a rollout has made no progress for the deadline of workloads whose controller keeps none: no pod was created, and
/// none has become ready.
fn is_late(observed: &Observed, pods: &Pods, followed: Followed) -> bool {
    let runs = observed.is_in_flight() || (observed.unfinished && !observed.complete);
    let progressed = pods.progressed.max(observed.last_rollout);
    let since = progressed.or(followed.since);
    runs && since.is_some_and(|since| clock::now().duration_since(since) >= PROGRESS_DEADLINE)
}

/// What is decided upon, with what was learnt besides.
fn gathered(observed: Observed, pods: Arc<Pods>, learnt: Vec<Learnt>) -> Observation {
    let mut gathered = Observation {
        pods,
        ..Observation::unseen(observed)
    };
    let mut tags = Vec::new();
    for learnt in learnt {
        gathered.failures.extend(learnt.failures);
        for tag in learnt.tags {
            gathered.asked = gathered.asked.max(tag.begun);
            gathered.retry = gathered.retry.into_iter().chain(tag.retry).min();
            if !tags.contains(&tag.key) {
                tags.push(tag.key);
            }
        }
    }
    gathered.tags = Some(tags);
    gathered
}

/// What the object itself says.
fn observed(workload: &Workload, containers: Vec<Container>, context: &Context) -> Observed {
    let names = workload.template().containers();
    let progress = workload.progress();
    Observed {
        paused: progress.paused,
        generation_observed: progress.generation_observed,
        wants_pods: progress.wants_pods,
        replacing: progress.replacing,
        complete: progress.complete,
        unfinished: false,
        deadline_exceeded: progress.deadline_exceeded.unwrap_or(false),
        on_delete: progress.on_delete,
        record: record(workload),
        attempts: attempts(workload),
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

/// How often that was repeated, by its own account.
fn attempts(workload: &Workload) -> Attempts {
    let written = workload.template().annotation(annotations::ATTEMPTS);
    written.and_then(Attempts::parse).unwrap_or_default()
}
