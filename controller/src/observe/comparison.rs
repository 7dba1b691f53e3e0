//! Compares what pods run with the digest behind the tag that they name.

use std::{collections::HashMap, sync::Arc, time::Duration};

use jiff::{SignedDuration, Timestamp};
use kube_autorollout_core::{
    Digest, Reference,
    compare::{self, Comparison, Step, Verdict},
    decide::Running,
    image_id::ImageId,
    platform::Platforms,
    state::Reason,
};
use kube_autorollout_registry::{CredentialChain, Fingerprint, RegistryClient};
use tokio::time::Instant;

use super::{
    labels::Labels,
    lookup_context::LookupContext,
    manifests::Manifests,
    nodes::Node,
    pods::{Container, Pod},
};
use crate::{
    clock,
    lookup::{Fetches, SingleFlight},
    registry::failure::Failure,
};

/// How far the clock of a node may be off from ours.
pub(super) const CLOCK_SKEW: SignedDuration = SignedDuration::from_mins(1);

/// How long an unused comparison is cached.
const UNUSED: Duration = Duration::from_secs(10 * 60);

/// When manifests are requested again after the end of a request with a transient failure, however long it took.
const RETRY: Duration = Duration::from_secs(5);

/// The arguments of a comparison, and the credentials: a registry gives the same responses to all requests with those.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    image: Box<str>,
    scope: Fingerprint,
    tag: Digest,
    running: Arc<str>,
    pulled: Option<Digest>,
    platforms: Platforms,
}

/// The result of a comparison that needed manifests.
#[derive(Debug, Clone)]
struct CachedVerdict {
    started_at: Timestamp,
    ended: Instant,
    verdict: Verdict,
    failure: Option<Failure>,
    /// Digests never change, but a manifest that could not be fetched may become available.
    is_final: bool,
}

impl CachedVerdict {
    fn is_fresh(&self, not_before: Timestamp) -> bool {
        let is_transient = self
            .failure
            .as_ref()
            .is_some_and(|failure| failure.transient);
        self.is_final
            || (clock::is_since(self.started_at, not_before)
                && (!is_transient || self.ended.elapsed() < RETRY))
    }
}

/// The comparisons that need manifests.
pub(super) struct Comparisons {
    client: RegistryClient,
    cache: Arc<SingleFlight<Key, Arc<CachedVerdict>>>,
    labels: Arc<Labels>,
}

impl Comparisons {
    /// An empty cache. The labels of both images are fetched where a comparison finds a stale one.
    pub(super) fn new(client: RegistryClient, labels: Arc<Labels>, fetches: &Fetches) -> Self {
        Self {
            client,
            labels,
            cache: SingleFlight::new(fetches.clone()),
        }
    }

    /// Evicts unused comparisons.
    pub(super) fn tidy(&self) {
        self.cache.retain(|_, unused| unused < UNUSED);
    }

    fn lookup(
        &self,
        comparison: Comparison<'_>,
        image_id: &Arc<str>,
        credentials: &CredentialChain,
        context: LookupContext<'_>,
    ) -> Option<Arc<CachedVerdict>> {
        let key = Key {
            image: comparison.reference.whole().into(),
            scope: credentials.fingerprint(),
            tag: comparison.tag.clone(),
            running: Arc::clone(image_id),
            pulled: comparison.pulled.cloned(),
            platforms: comparison.platforms.clone(),
        };
        let not_before = context.freshness.manifests;
        let is_fresh = |cached: &Arc<CachedVerdict>| cached.is_fresh(not_before);
        self.cache.lookup(&key, context.waiter, is_fresh, |_| {
            let (client, credentials) = (self.client.clone(), credentials.clone());
            let (key, reference) = (key.clone(), comparison.reference.clone());
            let labels = Arc::clone(&self.labels);
            async move {
                let started_at = clock::now();
                let mut manifests = Manifests::new(&client, &reference, &credentials);
                let running = ImageId::parse(&key.running);
                let comparison = Comparison {
                    reference: &reference,
                    tag: &key.tag,
                    running: &running,
                    pulled: key.pulled.as_ref(),
                    platforms: &key.platforms,
                };
                let verdict = manifests.compare(comparison).await;
                if verdict == Verdict::Stale {
                    let digests = running.digest().into_iter().chain([&key.tag]);
                    labels.fetch(&reference, &key.platforms, &credentials, digests);
                }
                Arc::new(CachedVerdict {
                    started_at,
                    ended: Instant::now(),
                    verdict,
                    is_final: manifests.are_complete(),
                    failure: manifests.failure(),
                })
            }
        })
    }
}

/// Compares what each pod runs with the tag, equal ones once; `None` while a manifest or a node has to be read. The failure,
/// if there is one, is the last.
pub(super) fn compare(
    pods: &[(&Pod, &Container)],
    context: LookupContext<'_>,
    (reference, credentials): (&Reference, &CredentialChain),
    tag: &Digest,
    since: Option<Timestamp>,
) -> Option<(Vec<Running>, Option<Failure>)> {
    let mut verdicts: HashMap<_, (Verdict, Option<Digest>)> = HashMap::new();
    let mut compared = Vec::new();
    let mut last_failure = None;
    let mut is_pending = false;
    for (pod, container) in pods {
        let pulled = pulled(container, context.recorded, tag, since);
        let key = (&*container.image_id, pod.node.as_deref(), pulled);
        let (verdict, digest) = if let Some(result) = verdicts.get(&key) {
            result.clone()
        } else {
            let image_id = ImageId::parse(&container.image_id);
            let verdict = match platforms(pod, &image_id, tag, context) {
                PodPlatforms::Pending => None,
                // The pod will be deleted like its node, and its replacement pulls the image.
                PodPlatforms::NodeGone => Some((Verdict::NotStarted, None)),
                PodPlatforms::Known(platforms) => {
                    let comparison = Comparison {
                        reference,
                        tag,
                        running: &image_id,
                        pulled,
                        platforms: &platforms,
                    };
                    verdict(comparison, &container.image_id, credentials, context)
                }
            };
            let Some((verdict, failure)) = verdict else {
                is_pending = true;
                continue;
            };
            last_failure = failure.or(last_failure);
            let result = (verdict, image_id.digest().cloned());
            if verdict != Verdict::Current(Reason::Current) {
                verdicts.insert(key, result.clone());
            }
            result
        };
        compared.push(running(pod, container, digest, verdict));
    }
    (!is_pending).then_some((compared, last_failure))
}

/// In the steady state no manifest is needed: the image ID has the digest behind the tag.
fn verdict(
    comparison: Comparison<'_>,
    image_id: &Arc<str>,
    credentials: &CredentialChain,
    context: LookupContext<'_>,
) -> Option<(Verdict, Option<Failure>)> {
    if let Step::Done(verdict) = compare::compare(comparison, &|_| None) {
        return Some((verdict, None));
    }
    let comparisons = &context.sources.comparisons;
    let compared = comparisons.lookup(comparison, image_id, credentials, context)?;
    Some((compared.verdict, compared.failure.clone()))
}

/// A digest that the tag named when the container's image was pulled, or earlier, where one is known: that of the tag if the
/// container started after it was first seen, otherwise that of the rollout that created the pod. The digest of a pinned
/// container is known anyway.
fn pulled<'d>(
    container: &Container,
    recorded: Option<&'d Digest>,
    tag: &'d Digest,
    since: Option<Timestamp>,
) -> Option<&'d Digest> {
    if !container.spec.pulls_always || container.spec.pinned {
        return None;
    }
    let seen = since.and_then(|since| since.checked_add(CLOCK_SKEW).ok());
    let started_after = container
        .started
        .zip(seen)
        .is_some_and(|(started, seen)| started > seen);
    if started_after { Some(tag) } else { recorded }
}

/// The platforms whose manifests of an index matter for a pod.
enum PodPlatforms {
    Known(Platforms),
    /// Its node does not exist.
    NodeGone,
    /// Its node is being read.
    Pending,
}

/// The node is only read where a manifest has to be.
fn platforms(
    pod: &Pod,
    image_id: &ImageId,
    tag: &Digest,
    context: LookupContext<'_>,
) -> PodPlatforms {
    let configured = &context.sources.platforms;
    let decided = image_id.digest().is_none_or(|digest| digest == tag);
    let (Platforms::Every, false, Some(node)) = (configured, decided, pod.node.as_ref()) else {
        return PodPlatforms::Known(configured.clone());
    };
    PodPlatforms::Known(match context.sources.nodes.lookup(node, context.waiter) {
        Some(Node::Of(platform)) => Platforms::Of(vec![platform]),
        Some(Node::OfAny) => Platforms::Every,
        Some(Node::Unread) => Platforms::Unread,
        Some(Node::Gone) => return PodPlatforms::NodeGone,
        None => return PodPlatforms::Pending,
    })
}

/// A pod's container for the decision. Whether it names the tag is decided by its container's check.
pub(super) fn running(
    pod: &Pod,
    container: &Container,
    digest: Option<Digest>,
    verdict: Verdict,
) -> Running {
    Running {
        verdict,
        digest,
        names_tag: true,
        ready: pod.ready,
        pulls_always: container.spec.pulls(),
        waiting: container.waiting,
    }
}

#[cfg(test)]
mod tests;
