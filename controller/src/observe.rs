//! Gathers the input of a decision: the state of the workload, its pods, and the digests behind their tags.
//!
//! The failure of a registry is data of the container; only what concerns the whole workload is an error.

mod comparison;
mod container;
mod image;
pub(crate) mod labels;
mod lookup_context;
mod manifests;
pub(crate) mod nodes;
pub(crate) mod observation;
mod pin_check;
pub(crate) mod pods;
mod tag;
pub(crate) mod tags;

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use kube::Client;
use kube_autorollout_cloud::Identities;
use kube_autorollout_core::{
    annotations::{self, ContainerKind, Settings, TemplateContainer},
    decide::{self, Observed, RecentRollout},
    pins::Pins,
    platform::Platforms,
    record::{Attempts, Record},
};
use kube_autorollout_registry as registry;
use tokio::time::Instant;

use self::{
    comparison::Comparisons,
    container::ContainerCheck,
    labels::Labels,
    lookup_context::LookupContext,
    nodes::Nodes,
    observation::{Observation, PROGRESS_DEADLINE, TrackedRollout},
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

/// The caches that observations are made from.
pub(crate) struct Sources {
    pub(crate) credentials: Credentials,
    pub(crate) tags: Tags,
    pub(crate) pods: Arc<pods::PodLister>,
    pub(crate) labels: Arc<Labels>,
    nodes: Nodes,
    comparisons: Comparisons,
    /// The platforms of an index that count, by the configuration.
    platforms: Platforms,
    /// How long a tag must have named a digest before it is rolled out.
    settle: Duration,
    /// The annotation that holds the time of a rollout.
    restarted_at: &'static str,
    /// Rollouts pin new pods to digests.
    pinning: bool,
}

impl Sources {
    /// Empty caches.
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
            pods: pods::PodLister::new(client.clone(), config.restarted_at(), fetches),
            nodes: Nodes::new(client.clone(), fetches),
            comparisons: Comparisons::new(registry.clone(), Arc::clone(&labels), fetches),
            labels,
            platforms: config.platforms.clone(),
            settle: config.rollouts.settle,
            restarted_at: config.restarted_at(),
            pinning: config.pinning,
        }
    }

    /// Evicts unused entries.
    pub(crate) fn tidy(&self) {
        self.credentials.tidy();
        self.tags.tidy();
        self.pods.tidy();
        self.nodes.tidy();
        self.comparisons.tidy();
        self.labels.tidy();
    }

    /// Removes a workload that is no longer selected.
    pub(crate) fn forget(&self, identity: &Identity) {
        self.tags.follow(identity, &[]);
        self.pods.cache.forget(identity);
    }
}

/// How fresh the facts must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Freshness {
    /// The start of the current tick: tags must have been requested since.
    pub(crate) tick: Timestamp,
    /// Manifests that could not be fetched must have been requested since.
    pub(crate) manifests: Timestamp,
    /// The pods of a rollout in flight are polled.
    pub(crate) poll: bool,
    /// Pods must have been listed since, in the present state of the workload.
    pub(crate) pods: Instant,
    /// Pods must have been listed after this request to a registry, and tags requested after what runs was pulled. A rollout
    /// needs that, or an old response would restart pods that are newer.
    pub(crate) after_request: Option<Timestamp>,
    /// Since when the workload has waited for a fetch, if it has.
    pub(crate) waited: Option<Instant>,
    /// The rolled-back rollouts must be known: before a rollout, and before it is reported why there is none.
    pub(crate) rollbacks: bool,
}

impl Freshness {
    /// The same for pods.
    fn of_pods(self) -> PodFreshness {
        PodFreshness {
            since: self.pods,
            after_request: self.after_request,
            waited: self.waited,
            rollbacks: self.rollbacks,
        }
    }
}

/// A workload to observe, and what is remembered of it.
#[derive(Clone, Copy)]
pub(crate) struct Subject<'a> {
    pub(crate) workload: &'a Workload,
    pub(crate) settings: &'a Settings,
    pub(crate) tracked: TrackedRollout,
    /// The last rollout of a container, by its name.
    pub(crate) remembered: &'a (dyn Fn(&str) -> Option<RecentRollout> + Sync),
}

/// Observes a workload from the caches; `None` while something has to be fetched, after which the waiter is woken.
///
/// # Errors
///
/// When its pods cannot be listed.
pub(crate) fn workload(
    subject: Subject<'_>,
    freshness: Freshness,
    waiter: &Waiter,
    sources: &Sources,
) -> Result<Option<Observation>, pods::Error> {
    let Subject {
        workload,
        settings,
        tracked,
        remembered,
    } = subject;
    let progress = workload.progress();
    let reached = workload.meta().generation.unwrap_or(0) >= tracked.generation;
    let up_to_date = progress.generation_observed && reached;
    let is_in_flight = progress.is_in_flight() || (tracked.unfinished && !progress.complete);
    let is_between_polls =
        is_in_flight && progress.deadline_exceeded != Some(true) && !freshness.poll;
    if progress.paused || !up_to_date || !progress.wants_pods || is_between_polls {
        let mut observed = observed(workload, tracked, sources);
        observed.generation_observed = up_to_date;
        return Ok(Some(Observation::without_pods(observed)));
    }
    let Some(pods) = sources.pods.lookup(workload, freshness.of_pods(), waiter)? else {
        return Ok(None);
    };
    let mut observed = observed(workload, tracked, sources);
    let template = workload.template();
    let is_pinning = sources.pinning && !template.is_unpinned();
    let pins = is_pinning.then_some(&observed.pins);
    // Plain init containers are only checked if they are selected by name.
    let containers = template.containers().filter(|container| {
        container.kind != ContainerKind::Init || settings.selected.contains(container.name)
    });
    let checks = containers.map(|TemplateContainer { name, .. }| ContainerCheck {
        container: name,
        image: template.image(name).unwrap_or_default(),
        selected: settings.selected.contains(name),
        remembered: remembered(name),
        pins,
        pods: &pods,
        context: LookupContext {
            namespace: workload.namespace(),
            recorded: observed.record.digest(name),
            listed_at: pods.listed_at,
            freshness,
            sources,
            waiter,
        },
    });
    // All containers are looked up before one that is pending ends the observation, so that they are fetched concurrently.
    let containers: Vec<_> = checks.map(|check| check.run()).collect();
    let Some(containers) = containers.into_iter().collect::<Option<Vec<_>>>() else {
        return Ok(None);
    };
    add_pods(&mut observed, progress, tracked, &pods);
    let mut observation = Observation {
        pods,
        tags: Some(Vec::new()),
        ..Observation::without_pods(observed)
    };
    for container in containers {
        observation.add(container);
    }
    observation.pinned = is_pinning.then(|| are_pinned(&observation.observed.containers));
    Ok(Some(observation))
}

/// Whether the pods of all checked containers run what they are pinned to.
fn are_pinned(containers: &[decide::Container]) -> bool {
    let is_pinned = |container: &decide::Container| {
        container.exempt.is_some() || container.pinned == Some(true)
    };
    containers.iter().all(is_pinned)
}

/// Corrects the status of the rollout by the pods.
fn add_pods(observed: &mut Observed, progress: Progress, tracked: TrackedRollout, pods: &Pods) {
    observed.generation_observed = pods.template_found;
    observed.replacing = progress.replacing && pods.older.unwrap_or(true);
    observed.deadline_exceeded = progress
        .deadline_exceeded
        .unwrap_or_else(|| is_late(observed, pods, tracked));
}

/// Whether a rollout has exceeded the progress deadline of workloads whose controller has none: no pod was created or became
/// ready.
fn is_late(observed: &Observed, pods: &Pods, tracked: TrackedRollout) -> bool {
    let is_in_flight = observed.is_in_flight() || (observed.unfinished && !observed.complete);
    let progressed = pods.progressed.max(observed.last_rollout);
    let since = progressed.or(tracked.since);
    is_in_flight
        && since.is_some_and(|since| clock::now().duration_since(since) >= PROGRESS_DEADLINE)
}

/// The state of the workload by its own object, without containers.
fn observed(workload: &Workload, tracked: TrackedRollout, sources: &Sources) -> Observed {
    let names = workload.template().names();
    let progress = workload.progress();
    Observed {
        paused: progress.paused,
        generation_observed: progress.generation_observed,
        wants_pods: progress.wants_pods,
        replacing: progress.replacing,
        complete: progress.complete,
        unfinished: tracked.unfinished,
        deadline_exceeded: progress.deadline_exceeded.unwrap_or(false),
        on_delete: progress.on_delete,
        record: recorded(workload, annotations::DIGESTS, Record::parse),
        attempts: recorded(workload, annotations::ATTEMPTS, Attempts::parse),
        last_rollout: workload.last_rollout(sources.restarted_at),
        pins: recorded(workload, annotations::PINS, Pins::parse),
        template_containers: names.map(str::to_owned).collect(),
        containers: Vec::new(),
    }
}

/// What an annotation of the template records of the last rollout.
fn recorded<T: Default>(workload: &Workload, key: &str, parse: fn(&str) -> Option<T>) -> T {
    let value = workload.template().annotation(key);
    value.and_then(parse).unwrap_or_default()
}
