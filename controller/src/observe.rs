//! Gathers what a decision needs to know: the workload's own state, its pods, and what registries say of its tags.
//!
//! What one container's registry does not answer is data of that container; only what concerns the whole workload is an
//! error.

mod comparison;
mod container;
mod image;
mod kept;
pub(crate) mod labels;
mod manifests;
pub(crate) mod nodes;
pub(crate) mod observation;
pub(crate) mod pods;
mod tag;
pub(crate) mod tags;

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use kube::Client;
use kube_autorollout_cloud::Identities;
use kube_autorollout_core::{
    annotations::{self, ContainerKind, Settings, TemplateContainer},
    decide::{Container, Observed, Remembered},
    pins::Pins,
    platform::Platforms,
    record::{Attempts, Record},
};
use kube_autorollout_registry as registry;
use tokio::time::Instant;

use self::{
    comparison::{Asking, Comparisons},
    container::{ContainerCheck, Learnt, Seen},
    labels::Labels,
    nodes::Nodes,
    observation::{Followed, Observation, PROGRESS_DEADLINE},
    pods::{PodFreshness, Pods},
    tags::Tags,
};
use crate::{
    clock,
    config::Config,
    lookup::{Fetches, Waiter},
    registry::credentials::Credentials,
    workload::{Progress, Workload, identity::Identity},
};

/// Where facts come from: each is looked up at once, or fetched for all who want it.
pub(crate) struct Sources {
    /// With what registries are asked.
    pub(crate) credentials: Credentials,
    pub(crate) tags: Tags,
    pub(crate) pods: Arc<pods::Store>,
    pub(crate) labels: Arc<Labels>,
    nodes: Nodes,
    comparisons: Comparisons,
    /// Which manifests of an index count, where the configuration names them.
    platforms: Platforms,
    /// How long a tag must have named a digest before that is rolled out.
    settle: Duration,
    /// The annotation that holds the instant of a rollout.
    restarted_at: &'static str,
    /// Rollouts pin what new pods run.
    pinning: bool,
}

impl Sources {
    /// Nothing is known yet.
    pub(crate) fn new(
        client: &Client,
        (registry, identities): (&registry::RegistryClient, Option<Identities>),
        config: &Config,
        fetches: &Fetches,
    ) -> Self {
        let labels = Labels::new(registry.clone(), fetches);
        Self {
            credentials: Credentials::new(client.clone(), &config.registries, identities, fetches),
            tags: Tags::new(registry.clone(), fetches),
            pods: pods::Store::new(client.clone(), config.restarted_at(), fetches),
            nodes: Nodes::new(client.clone(), fetches),
            comparisons: Comparisons::new(registry.clone(), Arc::clone(&labels), fetches),
            labels,
            platforms: config.platforms.clone(),
            settle: config.rollouts.settle,
            restarted_at: config.restarted_at(),
            pinning: config.pinning,
        }
    }

    /// What the template pins the workload's pods to, where they are to be pinned.
    fn pins(&self, workload: &Workload) -> Option<Pins> {
        let wanted = self.pinning && !workload.template().is_unpinned();
        wanted.then(|| pins(workload))
    }

    /// Drops what nobody needs any more.
    pub(crate) fn tidy(&self) {
        self.credentials.tidy();
        self.tags.tidy();
        self.pods.tidy();
        self.nodes.tidy();
        self.comparisons.tidy();
        self.labels.tidy();
    }

    /// Forgets what is known of a workload that is no longer selected.
    pub(crate) fn forget(&self, identity: &Identity) {
        self.tags.follow(identity, &[]);
        self.pods.cache.forget(identity);
    }
}

/// How fresh the facts must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Freshness {
    /// When the current tick began: tags must have been asked for since.
    pub(crate) tick: Timestamp,
    /// Manifests that could not be had must have been asked for since.
    pub(crate) compared: Timestamp,
    /// Pods of a rollout in flight are polled.
    pub(crate) poll: bool,
    /// Since when pods must have been read, in this state of the workload.
    pub(crate) pods: Instant,
    /// Pods must have been read after a registry was asked then, and tags have been asked for after what runs was pulled.
    /// A rollout needs that, or an old answer would restart pods that are newer than it.
    pub(crate) asked: Option<Timestamp>,
    /// Since when the workload has waited for what is fetched, if it has.
    pub(crate) waited: Option<Instant>,
    /// It must be known whether somebody went back to the current template: before a rollout, and before it is said why there
    /// is none.
    pub(crate) templates: bool,
}

impl Freshness {
    /// The same for pods.
    fn of_pods(self) -> PodFreshness {
        PodFreshness {
            since: self.pods,
            asked: self.asked,
            waited: self.waited,
            templates: self.templates,
        }
    }
}

/// A workload that is observed, and what is remembered of it.
#[derive(Clone, Copy)]
pub(crate) struct Subject<'a> {
    pub(crate) workload: &'a Workload,
    pub(crate) settings: &'a Settings,
    /// An object of an earlier generation than its rollout has reached is news from the past.
    pub(crate) followed: Followed,
    /// What a container was last rolled out to, by its name.
    pub(crate) remembered: &'a (dyn Fn(&str) -> Option<Remembered> + Sync),
}

/// Observes a workload with what is known; nothing while something has to be fetched, of which the waiter is woken when
/// it is there.
///
/// # Errors
///
/// When its pods cannot be read.
pub(crate) fn workload(
    subject: Subject<'_>,
    freshness: Freshness,
    waiter: &Waiter,
    sources: &Sources,
) -> Result<Option<Observation>, pods::Error> {
    let Subject {
        workload,
        settings,
        followed,
        remembered,
    } = subject;
    let progress = workload.progress();
    let reached = workload.meta().generation.unwrap_or(0) >= followed.generation;
    let up_to_date = progress.generation_observed && reached;
    let runs = progress.is_in_flight() || (followed.unfinished && !progress.complete);
    let nothing_to_see = runs && progress.deadline_exceeded != Some(true) && !freshness.poll;
    if progress.paused || !up_to_date || !progress.wants_pods || nothing_to_see {
        // Decided without its pods and tags.
        let observed = Observed {
            generation_observed: up_to_date,
            unfinished: followed.unfinished,
            ..observed(workload, Vec::new(), sources)
        };
        return Ok(Some(Observation::unseen(observed)));
    }
    let Some(pods) = sources.pods.lookup(workload, freshness.of_pods(), waiter)? else {
        return Ok(None);
    };
    let record = record(workload);
    let pins = sources.pins(workload);
    // A plain init container is none of ours unless its name was asked for.
    let ours = |container: &TemplateContainer<'_>| {
        container.kind != ContainerKind::Init || settings.selected.contains(container.name)
    };
    let template = workload.template();
    let containers = template.containers().filter(ours);
    let checks = containers.map(|TemplateContainer { name, .. }| ContainerCheck {
        container: name,
        image: template.image(name).unwrap_or_default(),
        selected: settings.selected.contains(name),
        remembered: remembered(name),
        pins: pins.as_ref(),
        pods: &pods,
        asking: Asking {
            namespace: workload.namespace(),
            recorded: record.digest(name),
            listed: pods.listed_at,
            freshness,
            sources,
            waiter,
        },
    });
    // All of them are asked for at once.
    let seen: Vec<_> = checks.map(ContainerCheck::run).collect();
    let Some(seen) = seen.into_iter().collect::<Option<Vec<_>>>() else {
        return Ok(None);
    };
    let (containers, learnt) = seen.into_iter().map(Seen::parted).unzip();
    let observed = observed(workload, containers, sources);
    let observed = beside_pods(observed, progress, followed, &pods);
    Ok(Some(Observation {
        pinned: pins.map(|_| are_pinned(&observed.containers)),
        ..gathered(observed, pods, learnt)
    }))
}

/// Whether the pods of all containers that are checked are pinned.
fn are_pinned(containers: &[Container]) -> bool {
    let mut checked = containers.iter().filter(|checked| checked.exempt.is_none());
    checked.all(|container| container.pinned == Some(true))
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
        gathered.gone.extend(learnt.gone);
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
fn observed(workload: &Workload, containers: Vec<Container>, sources: &Sources) -> Observed {
    let names = workload.template().names();
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
        last_rollout: workload.last_rollout(sources.restarted_at),
        pins: pins(workload),
        template_containers: names.map(str::to_owned).collect(),
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

/// What its pods are pinned to, by its own account.
fn pins(workload: &Workload) -> Pins {
    let written = workload.template().annotation(annotations::PINS);
    written.and_then(Pins::parse).unwrap_or_default()
}
