//! One container of a workload: what its tag names, and what its pods run.

use std::{collections::HashMap, sync::Arc};

use futures::future;
use jiff::{SignedDuration, Timestamp};
use kube_autorollout_core::{
    Digest, Reference,
    compare::{Question, Verdict},
    decide::{self, Exempt, Remembered, Running},
    image_id::ImageId,
    platform::Platforms,
    reference,
    state::Reason,
};
use kube_autorollout_registry::Credentials;

use super::{Freshness, manifests::Manifests};
use crate::{
    checker::{Key, Tag},
    clock,
    context::Context,
    pods::{self, Pod, Pods},
    registry_error::Failure,
};

/// How far the clock of a node may be off from ours.
const CLOCK_SKEW: SignedDuration = SignedDuration::from_mins(1);

/// A container to be looked at.
pub(super) struct Look<'a> {
    pub(super) container: &'a str,
    /// The image as the template has it.
    pub(super) image: &'a str,
    /// The user wants it checked.
    pub(super) selected: bool,
    pub(super) recorded: Option<&'a Digest>,
    pub(super) remembered: Option<Remembered>,
    pub(super) namespace: &'a str,
    pub(super) pods: &'a Pods,
    pub(super) freshness: Freshness,
    pub(super) context: &'a Context,
}

/// What was seen of it.
pub(super) struct Seen {
    observed: decide::Container,
    failure: Option<Failure>,
    /// The tag that was asked for.
    tag: Option<Asked>,
}

/// A tag that was asked for.
pub(super) struct Asked {
    /// Under what its answer is kept.
    pub(super) key: Key,
    /// When it was asked for.
    pub(super) begun: Timestamp,
    /// When it is asked for again after a failure, whatever the schedule says.
    pub(super) retry: Option<Timestamp>,
}

/// What was learnt besides what is decided upon.
pub(super) struct Learnt {
    /// The container whose registry did not tell, and why not.
    pub(super) failure: Option<(String, Failure)>,
    /// The tag that was asked for.
    pub(super) tag: Option<Asked>,
}

impl Seen {
    /// What is decided upon, and the rest.
    pub(super) fn parted(self) -> (decide::Container, Learnt) {
        let name = &self.observed.name;
        let failure = self.failure.map(|failure| (name.clone(), failure));
        let tag = self.tag;
        (self.observed, Learnt { failure, tag })
    }
}

impl Look<'_> {
    pub(super) async fn take(self) -> Seen {
        if !self.selected {
            return self.exempt(Exempt::Excluded);
        }
        let reference = match reference::parse(self.image) {
            Ok(reference) => reference,
            Err(error) => return self.failed(Failure::invalid_reference(error), None),
        };
        if reference::is_pinned(&reference) {
            return self.exempt(Exempt::Pinned);
        }
        let need_not_pull = self.in_pods().any(|(_, container)| !container.pulls_always);
        if need_not_pull && self.recorded.is_none() {
            // A new pod might run what its node has, so the registry's answer would change nothing.
            return self.seen(Err(Reason::PullPolicy), self.unknown(Reason::PullPolicy));
        }
        self.ask(&reference).await
    }

    async fn ask(&self, reference: &Reference) -> Seen {
        let pull_secrets = &self.pods.pull_secrets;
        let sources = &self.context.credentials;
        let credentials = sources.of(self.namespace, pull_secrets, reference).await;
        let (tag, key) = self.tag(reference, &credentials).await;
        let since = tag.since();
        let begun = tag.begun;
        let asked = Asked {
            key,
            begun,
            retry: tag.retry,
        };
        let mut seen = match tag.digest {
            Ok(digest) => {
                let mut manifests = Manifests::new(&self.context.registry, reference, &credentials);
                let running = self.compare(&mut manifests, &digest, since).await;
                Seen {
                    failure: manifests.failure(),
                    tag: Some(asked),
                    ..self.seen(Ok(digest), running)
                }
            }
            Err(failure) => {
                sources.refused(self.namespace, pull_secrets, failure.reason, begun);
                let failure = if credentials.is_empty() {
                    let missing = sources.missing(self.namespace, pull_secrets, reference);
                    match missing.await {
                        Some(missing) => failure.for_want_of(&missing),
                        None => failure,
                    }
                } else {
                    failure
                };
                self.failed(failure, Some(asked))
            }
        };
        seen.observed.since = since;
        seen
    }

    /// The tag, as fresh as it must be.
    async fn tag(&self, reference: &Reference, credentials: &Credentials) -> (Tag, Key) {
        let checker = &self.context.checker;
        let (tag, key) = checker
            .tag(reference, credentials, self.freshness.tick)
            .await;
        if self.freshness.asked.is_none() {
            return (tag, key);
        }
        let begun = tag.begun.checked_sub(CLOCK_SKEW).unwrap_or(tag.begun);
        let mut started = self
            .in_pods()
            .filter_map(|(_, container)| container.started);
        if started.any(|started| started > begun) {
            return checker.tag(reference, credentials, self.pods.begun).await;
        }
        if let Some(settled) = self.settled(&tag)
            && tag.begun < settled
        {
            return checker.tag(reference, credentials, settled).await;
        }
        (tag, key)
    }

    /// Since when the tag has named its digest for long enough, if it has: an answer from before says nothing of that.
    fn settled(&self, tag: &Tag) -> Option<Timestamp> {
        let settled = tag.since()?.checked_add(self.context.rollouts.settle);
        settled.ok().filter(|settled| *settled <= clock::now())
    }

    /// Compares what each pod runs with the tag; each different thing once.
    async fn compare(
        &self,
        manifests: &mut Manifests<'_>,
        tag: &Digest,
        since: Option<Timestamp>,
    ) -> Vec<Running> {
        let mut verdicts: HashMap<_, (Verdict, Option<Digest>)> = HashMap::new();
        let mut running = Vec::new();
        for (pod, container) in self.in_pods() {
            let pulled = self.pulled(container, tag, since);
            let key = (&*container.image_id, pod.node.as_deref(), pulled);
            let (verdict, digest) = if let Some(known) = verdicts.get(&key) {
                known.clone()
            } else {
                let image_id = ImageId::parse(&container.image_id);
                let question = Question {
                    reference: manifests.reference(),
                    tag,
                    running: &image_id,
                    pulled,
                    platforms: &self.platforms(pod, &image_id, tag).await,
                };
                let verdict = manifests.compare(question).await;
                let known = (verdict, image_id.digest().cloned());
                verdicts.insert(key, known.clone());
                known
            };
            running.push(described(pod, container, digest, verdict));
        }
        // What runs in them says nothing about the current template; that they do not start does
        let blocking = self.inside(&self.pods.blocking);
        running.extend(blocking.map(|(pod, container)| Running {
            pulls_always: true,
            ..described(
                pod,
                container,
                running_digest(container),
                Verdict::NotStarted,
            )
        }));
        running
    }

    /// A digest that the tag named when the container's image was pulled, or earlier, where one is known: that of the tag
    /// itself if the container started after it was first seen, else that of the rollout by which its pod was created.
    fn pulled<'d>(
        &'d self,
        container: &pods::Container,
        tag: &'d Digest,
        since: Option<Timestamp>,
    ) -> Option<&'d Digest> {
        if !container.pulls_always {
            return None;
        }
        let seen = since.and_then(|since| since.checked_add(CLOCK_SKEW).ok());
        let started = container.started.zip(seen);
        if started.is_some_and(|(started, seen)| started > seen) {
            return Some(tag);
        }
        self.recorded
    }

    /// Which manifests of an index count for a pod.
    async fn platforms(&self, pod: &Pod, image_id: &ImageId, tag: &Digest) -> Platforms {
        let configured = &self.context.platforms;
        if *configured != Platforms::Every || image_id.digest() == Some(tag) {
            return configured.clone();
        }
        let node = pod.node.as_deref();
        let platform =
            future::OptionFuture::from(node.map(|node| self.context.nodes.platform(node))).await;
        platform
            .flatten()
            .map_or(Platforms::Every, |platform| Platforms::Of(vec![platform]))
    }

    /// The container in each pod of the current template.
    fn in_pods(&self) -> impl Iterator<Item = (&Pod, &pods::Container)> {
        self.inside(&self.pods.current)
    }

    /// The container in each of these pods.
    fn inside<'a>(
        &self,
        pods: &'a [Arc<Pod>],
    ) -> impl Iterator<Item = (&'a Pod, &'a pods::Container)> {
        pods.iter().flat_map(|pod| {
            let same = pod
                .containers
                .iter()
                .filter(|container| *container.name == *self.container);
            same.map(move |container| (&**pod, container))
        })
    }

    /// The container in each pod, where nothing can be said of what runs.
    fn unknown(&self, reason: Reason) -> Vec<Running> {
        self.in_pods()
            .map(|(pod, container)| {
                let digest = running_digest(container);
                described(pod, container, digest, Verdict::Unknown(reason))
            })
            .collect()
    }

    fn exempt(&self, exempt: Exempt) -> Seen {
        let mut seen = self.seen(Err(Reason::NotStarted), Vec::new());
        seen.observed.exempt = Some(exempt);
        seen
    }

    fn failed(&self, failure: Failure, tag: Option<Asked>) -> Seen {
        let seen = self.seen(Err(failure.reason), self.unknown(failure.reason));
        Seen {
            failure: Some(failure),
            tag,
            ..seen
        }
    }

    fn seen(&self, tag: Result<Digest, Reason>, pods: Vec<Running>) -> Seen {
        Seen {
            observed: decide::Container {
                name: self.container.to_owned(),
                exempt: None,
                tag,
                since: None,
                remembered: self.remembered.clone(),
                pods,
            },
            failure: None,
            tag: None,
        }
    }
}

fn described(
    pod: &Pod,
    container: &pods::Container,
    digest: Option<Digest>,
    verdict: Verdict,
) -> Running {
    Running {
        verdict,
        digest,
        ready: pod.ready,
        pulls_always: container.pulls_always,
        waiting: container.waiting,
    }
}

fn running_digest(container: &pods::Container) -> Option<Digest> {
    ImageId::parse(&container.image_id).digest().cloned()
}
