//! What pods run, compared with the digest behind the tag that they name.

use std::{collections::HashMap, sync::Arc, time::Duration};

use jiff::{SignedDuration, Timestamp};
use kube_autorollout_core::{
    Digest, Reference,
    compare::{self, Question, Step, Verdict},
    decide::Running,
    image_id::ImageId,
    platform::Platforms,
    state::Reason,
};
use kube_autorollout_registry::{CredentialChain, Fingerprint, RegistryClient};
use tokio::time::Instant;

use super::{
    Freshness, Sources,
    labels::{Labels, Of},
    manifests::Manifests,
    nodes::Node,
    pods::{Container, Pod},
};
use crate::{
    clock,
    lookup::{Fetches, SingleFlight, Waiter},
    registry::failure::Failure,
};

/// How far the clock of a node may be off from ours.
pub(super) const CLOCK_SKEW: SignedDuration = SignedDuration::from_mins(1);

/// What nobody has compared for so long is dropped.
const UNUSED: Duration = Duration::from_secs(10 * 60);

/// How soon is asked again for manifests after a failure that may pass.
const RETRY: Duration = Duration::from_secs(5);

/// What is compared: a registry gives the same answer to all who ask the same with the same credentials.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    image: Box<str>,
    scope: Fingerprint,
    tag: Digest,
    running: Arc<str>,
    pulled: Option<Digest>,
    platforms: Platforms,
}

/// What a comparison that took manifests has led to.
#[derive(Debug, Clone)]
struct Compared {
    begun: Timestamp,
    at: Instant,
    verdict: Verdict,
    failure: Option<Failure>,
    /// Digests never change, but a manifest that could not be had may be there later.
    is_final: bool,
}

impl Compared {
    fn serves(&self, not_before: Timestamp) -> bool {
        let failure = self.failure.as_ref();
        let may_have_passed = failure.is_some_and(|failure| failure.transient);
        self.is_final
            || (clock::is_since(self.begun, not_before)
                && (!may_have_passed || self.at.elapsed() < RETRY))
    }
}

/// The comparisons that take manifests.
pub(super) struct Comparisons {
    client: RegistryClient,
    known: Arc<SingleFlight<Key, Arc<Compared>>>,
    labels: Arc<Labels>,
}

impl Comparisons {
    /// What both images say of themselves is fetched where a comparison finds one stale.
    pub(super) fn new(client: RegistryClient, labels: Arc<Labels>, fetches: &Fetches) -> Self {
        Self {
            client,
            labels,
            known: SingleFlight::new(fetches.clone()),
        }
    }

    /// Drops what nobody has compared lately.
    pub(super) fn tidy(&self) {
        self.known.retain(|_, unused| unused < UNUSED);
    }

    fn lookup(
        &self,
        question: Question<'_>,
        image_id: &Arc<str>,
        credentials: &CredentialChain,
        asking: Asking<'_>,
    ) -> Option<Arc<Compared>> {
        let key = Key {
            image: question.reference.whole().into(),
            scope: credentials.fingerprint(),
            tag: question.tag.clone(),
            running: Arc::clone(image_id),
            pulled: question.pulled.cloned(),
            platforms: question.platforms.clone(),
        };
        let not_before = asking.freshness.compared;
        let is_good = |known: &Arc<Compared>| known.serves(not_before);
        self.known.lookup(&key, asking.waiter, is_good, |_| {
            let (client, credentials) = (self.client.clone(), credentials.clone());
            let (key, reference) = (key.clone(), question.reference.clone());
            let labels = Arc::clone(&self.labels);
            async move {
                let (begun, at) = (clock::now(), Instant::now());
                let mut manifests = Manifests::new(&client, &reference, &credentials);
                let running = ImageId::parse(&key.running);
                let question = Question {
                    reference: &reference,
                    tag: &key.tag,
                    running: &running,
                    pulled: key.pulled.as_ref(),
                    platforms: &key.platforms,
                };
                let verdict = manifests.compare(question).await;
                if verdict == Verdict::Stale {
                    let of = Of {
                        reference: &reference,
                        platforms: &key.platforms,
                        credentials: &credentials,
                    };
                    labels.fetch(of, running.digest().into_iter().chain([&key.tag]));
                }
                Arc::new(Compared {
                    begun,
                    at,
                    verdict,
                    is_final: manifests.are_complete(),
                    failure: manifests.failure(),
                })
            }
        })
    }
}

/// What is the same for all images of a container.
#[derive(Clone, Copy)]
pub(super) struct Asking<'a> {
    pub(super) namespace: &'a str,
    /// What the container was last rolled out to.
    pub(super) recorded: Option<&'a Digest>,
    /// When the list of its pods began.
    pub(super) listed: Timestamp,
    pub(super) freshness: Freshness,
    pub(super) sources: &'a Sources,
    pub(super) waiter: &'a Waiter,
}

/// Compares what each pod runs with the tag, each different thing once, unless it is the tag's digest itself; nothing while
/// a manifest or a node has to be read for that. The failure, if there is one, is the last.
pub(super) fn compare(
    pods: &[(&Pod, &Container)],
    asking: Asking<'_>,
    (reference, credentials): (&Reference, &CredentialChain),
    tag: &Digest,
    since: Option<Timestamp>,
) -> Option<(Vec<Running>, Option<Failure>)> {
    let mut verdicts: HashMap<_, (Verdict, Option<Digest>)> = HashMap::new();
    let mut running = Vec::new();
    let mut failed = None;
    let mut is_pending = false;
    for (pod, container) in pods {
        let pulled = pulled(container, asking.recorded, tag, since);
        let key = (&*container.image_id, pod.node.as_deref(), pulled);
        let (verdict, digest) = if let Some(known) = verdicts.get(&key) {
            known.clone()
        } else {
            let image_id = ImageId::parse(&container.image_id);
            let verdict = match platforms(pod, &image_id, tag, asking) {
                Counting::Pending => {
                    is_pending = true;
                    continue;
                }
                // The pod is away with its node, and the one in its place pulls what the tag names.
                Counting::Away => Verdict::NotStarted,
                Counting::Platforms(platforms) => {
                    let question = Question {
                        reference,
                        tag,
                        running: &image_id,
                        pulled,
                        platforms: &platforms,
                    };
                    let id = &container.image_id;
                    let Some((verdict, failure)) = verdict(question, id, credentials, asking)
                    else {
                        is_pending = true;
                        continue;
                    };
                    failed = failure.or(failed);
                    verdict
                }
            };
            let known = (verdict, image_id.digest().cloned());
            if verdict != Verdict::Current(Reason::Current) {
                verdicts.insert(key, known.clone());
            }
            known
        };
        running.push(described(pod, container, digest, verdict));
    }
    (!is_pending).then_some((running, failed))
}

/// In the steady state no manifest is needed: the image ID names the digest of the tag.
fn verdict(
    question: Question<'_>,
    image_id: &Arc<str>,
    credentials: &CredentialChain,
    asking: Asking<'_>,
) -> Option<(Verdict, Option<Failure>)> {
    if let Step::Done(verdict) = compare::compare(question, &|_| None) {
        return Some((verdict, None));
    }
    let comparisons = &asking.sources.comparisons;
    let compared = comparisons.lookup(question, image_id, credentials, asking)?;
    Some((compared.verdict, compared.failure.clone()))
}

/// A digest that the tag named when the container's image was pulled, or earlier, where one is known: that of the tag
/// itself if the container started after it was first seen, else that of the rollout by which its pod was created. What a
/// pinned container runs is plain.
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
    let after = container
        .started
        .zip(seen)
        .is_some_and(|(started, seen)| started > seen);
    if after { Some(tag) } else { recorded }
}

/// Which manifests of an index count for a pod.
enum Counting {
    /// Those of these platforms.
    Platforms(Platforms),
    /// None, as its node is gone.
    Away,
    /// The node is being read.
    Pending,
}

/// Which manifests of an index count for a pod. Where no manifest has to be read, its node need not be.
fn platforms(pod: &Pod, image_id: &ImageId, tag: &Digest, asking: Asking<'_>) -> Counting {
    let configured = &asking.sources.platforms;
    let decided = image_id.digest().is_none_or(|digest| digest == tag);
    let (Platforms::Every, false, Some(node)) = (configured, decided, pod.node.as_ref()) else {
        return Counting::Platforms(configured.clone());
    };
    Counting::Platforms(match asking.sources.nodes.lookup(node, asking.waiter) {
        Some(Node::Of(platform)) => Platforms::Of(vec![platform]),
        Some(Node::OfAny) => Platforms::Every,
        Some(Node::Unread) => Platforms::Unread,
        Some(Node::Gone) => return Counting::Away,
        None => return Counting::Pending,
    })
}

/// A pod of which this was found.
pub(super) fn described(
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
