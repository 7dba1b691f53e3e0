//! One image that pods name: the digest behind its tag, and what these pods run.

use std::sync::Arc;

use jiff::Timestamp;
use kube_autorollout_core::{
    Digest, Reference,
    compare::Verdict,
    decide::Running,
    image_id::ImageId,
    reference::{self, InvalidReference},
    state::Reason,
};
use kube_autorollout_registry::CredentialChain;

use super::{
    comparison::{CLOCK_SKEW, compare, running},
    lookup_context::LookupContext,
    pin_check::deleted_pins,
    pods::{Container, Pod},
    tag::Tag,
    tags::{TagKey, TagRequest},
};
use crate::{clock, registry::failure::Failure};

/// The pods that name one image for a container and pull it with the same Secrets, pinned to a digest of it or not.
///
/// Their image may differ from the template's: admission may have changed it to a mirror, or filled in the image of a mesh, and
/// may do something else since some of them were created.
pub(super) struct Image<'a> {
    name: &'a str,
    reference: &'a Result<Reference, InvalidReference>,
    pull_secrets: &'a [String],
    pods: Vec<(&'a Pod, &'a Container)>,
}

/// The observation of an image and of the pods that name it.
pub(super) struct ImageObservation {
    /// The digest behind the tag, or why it is not known.
    pub(super) tag: Result<Digest, Reason>,
    /// Since when the tag has named the digest that it was last known to name.
    pub(super) since: Option<Timestamp>,
    /// What each of the pods runs.
    pub(super) pods: Vec<Running>,
    /// The failure of the registry, if there was one.
    pub(super) failure: Option<Failure>,
    pub(super) requests: Vec<TagRequest>,
    /// Digests that the pods are pinned to and the registry has deleted.
    pub(super) gone: Vec<Digest>,
}

impl ImageObservation {
    fn new(tag: Result<Digest, Reason>, pods: Vec<Running>) -> Self {
        Self {
            tag,
            since: None,
            pods,
            failure: None,
            requests: Vec::new(),
            gone: Vec::new(),
        }
    }

    /// The digest behind the tag, if no pod has been compared with it.
    pub(super) fn uncompared_tag(&self) -> Option<&Digest> {
        let is_compared =
            |pod: &Running| matches!(pod.verdict, Verdict::Current(_) | Verdict::Stale);
        let tag = self.tag.as_ref().ok()?;
        (!self.pods.iter().any(is_compared)).then_some(tag)
    }
}

impl<'a> Image<'a> {
    /// The images that these pods name for the container, starting with that of the first pod.
    pub(super) fn of(pods: &'a [Arc<Pod>], name: &str) -> Vec<Self> {
        let mut images: Vec<Self> = Vec::new();
        for pod in pods {
            let containers = pod.containers.iter();
            for container in containers.filter(|container| *container.spec.name == *name) {
                let same = images.iter_mut().find(|image| {
                    image.name == container.spec.followed()
                        && *image.pull_secrets == *pod.pull_secrets
                });
                if let Some(image) = same {
                    image.pods.push((pod, container));
                } else {
                    images.push(Self {
                        name: container.spec.followed(),
                        reference: &container.spec.reference,
                        pull_secrets: &pod.pull_secrets,
                        pods: vec![(pod, container)],
                    });
                }
            }
        }
        images
    }

    /// The same image, without its pods.
    pub(super) fn without_pods(&self) -> Self {
        Self {
            pods: Vec::new(),
            ..*self
        }
    }

    /// The image, without the digest that its pods are pinned to.
    pub(super) const fn name(&self) -> &'a str {
        self.name
    }

    /// Whether it is named by digest, which never moves.
    pub(super) fn has_digest(&self) -> bool {
        self.reference.as_ref().is_ok_and(reference::has_digest)
    }

    /// Whether some of its pods may start it without a pull.
    pub(super) fn may_start_without_pull(&self) -> bool {
        let mut pods = self.pods.iter();
        pods.any(|(_, container)| !container.spec.pulls())
    }

    /// Resolves its tag, and compares the digest with what its pods run; `None` while something has to be fetched.
    pub(super) fn observe(&self, context: LookupContext<'_>) -> Option<ImageObservation> {
        let reference = match self.reference {
            Ok(reference) => reference,
            Err(error) => return Some(self.failed(Failure::invalid_reference(*error))),
        };
        if reference::has_digest(reference) {
            // The newest pods name a tag, so the template has changed since: a digest never moves.
            let pods = self.all(Verdict::Current(Reason::Current));
            return Some(ImageObservation::new(Err(Reason::Pinned), pods));
        }
        let credentials = self.credentials(context, reference)?;
        let (tag, key) = self.tag(context, reference, &credentials)?;
        let mut requests = vec![TagRequest {
            key,
            started_at: tag.started_at,
            retry: tag.retry,
        }];
        let since = tag.since();
        let observation = match &tag.digest {
            Ok(digest) => {
                let image = (reference, &credentials);
                let (pods, failure) = compare(&self.pods, context, image, digest, since)?;
                ImageObservation {
                    failure,
                    gone: deleted_pins(&self.pods, context, image, &tag, &mut requests),
                    ..ImageObservation::new(Ok(digest.clone()), pods)
                }
            }
            Err(failure) => {
                let sources = &context.sources.credentials;
                if failure.is_refusal() {
                    sources.invalidate(context.namespace, self.pull_secrets, tag.started_at);
                }
                let missing = || sources.missing(context.namespace, self.pull_secrets, reference);
                let failure = failure.clone();
                self.failed(match credentials.is_empty().then(missing).flatten() {
                    Some(missing) => failure.with_missing(&missing),
                    None => failure,
                })
            }
        };
        Some(ImageObservation {
            since,
            requests,
            ..observation
        })
    }

    /// Compares its stale pods with a tag of the `newest` image as well, and replaces their verdicts. `None` while a manifest
    /// is being read.
    pub(super) fn compare_with_newest(
        &self,
        newest: &Image<'_>,
        tag: &Digest,
        observed: &mut ImageObservation,
        context: LookupContext<'_>,
    ) -> Option<()> {
        let is_stale = |pod: &Running| pod.verdict == Verdict::Stale;
        let Ok(reference) = newest.reference else {
            return Some(());
        };
        if !observed.pods.iter().any(is_stale) {
            return Some(());
        }
        let credentials = newest.credentials(context, reference)?;
        let (confirmed, failure) =
            compare(&self.pods, context, (reference, &credentials), tag, None)?;
        let pods = observed.pods.iter_mut().zip(confirmed);
        for (pod, confirmed) in pods.filter(|(pod, _)| is_stale(pod)) {
            *pod = confirmed;
        }
        observed.failure = observed.failure.take().or(failure);
        Some(())
    }

    /// Its pods, all with this verdict.
    pub(super) fn all(&self, verdict: Verdict) -> Vec<Running> {
        let pods = self.pods.iter();
        let all = pods.map(|(pod, container)| {
            let digest = ImageId::parse(&container.image_id).digest().cloned();
            running(pod, container, digest, verdict)
        });
        all.collect()
    }

    fn failed(&self, failure: Failure) -> ImageObservation {
        let reason = failure.reason;
        let pods = self.all(Verdict::Unknown(reason));
        ImageObservation {
            failure: Some(failure),
            ..ImageObservation::new(Err(reason), pods)
        }
    }

    fn credentials(
        &self,
        context: LookupContext<'_>,
        reference: &Reference,
    ) -> Option<CredentialChain> {
        let sources = &context.sources.credentials;
        sources.lookup(
            context.namespace,
            self.pull_secrets,
            reference,
            context.waiter,
        )
    }

    /// The tag, as fresh as it must be.
    fn tag(
        &self,
        context: LookupContext<'_>,
        reference: &Reference,
        credentials: &CredentialChain,
    ) -> Option<(Arc<Tag>, TagKey)> {
        let lookup = |not_before| {
            let tags = &context.sources.tags;
            let (tag, key) = tags.lookup(reference, credentials, not_before, context.waiter);
            Some((tag?, key))
        };
        let (tag, key) = lookup(context.freshness.tick)?;
        if context.freshness.after_request.is_none() {
            return Some((tag, key));
        }
        let requested = tag.started_at;
        let requested = requested.checked_sub(CLOCK_SKEW).unwrap_or(requested);
        let mut started = self
            .pods
            .iter()
            .filter_map(|(_, container)| container.started);
        if started.any(|started| started > requested) {
            return lookup(context.listed_at);
        }
        // A response from before the tag had settled does not prove that it did.
        let settle = context.sources.settle;
        let settled = tag.since().and_then(|since| since.checked_add(settle).ok());
        if let Some(settled) = settled
            && settled <= clock::now()
            && tag.started_at < settled
        {
            return lookup(settled);
        }
        Some((tag, key))
    }
}

/// Whether the image is named by digest.
pub(super) fn has_digest(image: &str) -> bool {
    reference::parse(image).is_ok_and(|reference| reference::has_digest(&reference))
}

#[cfg(test)]
mod tests;
