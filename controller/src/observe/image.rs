//! One image that pods name: what its tag names, and what these pods run.

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
    comparison::{Asking, CLOCK_SKEW, compare, described},
    kept::Kept,
    pods::{Container, Pod},
    tag::Tag,
    tags::{Asked, Key},
};
use crate::{clock, registry::failure::Failure};

/// The pods that name one image for a container and pull it with the same Secrets, pinned to a digest of it or not.
///
/// They need not name what the template does: admission may have sent them to a mirror, or filled in what a mesh injects,
/// and what it does may have changed since some of them were created.
pub(super) struct Image<'a> {
    name: &'a str,
    reference: &'a Result<Reference, InvalidReference>,
    pull_secrets: &'a [String],
    pods: Vec<(&'a Pod, &'a Container)>,
}

/// What was learnt of an image and of the pods that name it.
pub(super) struct Learnt {
    /// The digest behind the tag, or why that is not known.
    pub(super) tag: Result<Digest, Reason>,
    /// Since when the tag names what it was last known to name.
    pub(super) since: Option<Timestamp>,
    /// What each of the pods runs.
    pub(super) pods: Vec<Running>,
    /// What the registry did not answer, and why not.
    pub(super) failure: Option<Failure>,
    /// The tag that was asked for.
    pub(super) asked: Option<Asked>,
    /// What its pods are pinned to instead.
    pub(super) kept: Kept,
}

impl Learnt {
    /// What the tag names, where no pod has been compared with that.
    pub(super) fn unconfirmed(&self) -> Option<&Digest> {
        let is_compared =
            |pod: &Running| matches!(pod.verdict, Verdict::Current(_) | Verdict::Stale);
        let tag = self.tag.as_ref().ok()?;
        (!self.pods.iter().any(is_compared)).then_some(tag)
    }
}

impl<'a> Image<'a> {
    /// The images that these pods name for the container; that of the first pod first.
    pub(super) fn of(pods: &'a [Arc<Pod>], container: &str) -> Vec<Self> {
        let mut images: Vec<Self> = Vec::new();
        let named = pods.iter().flat_map(|pod| {
            let containers = pod.containers.iter();
            let same = containers.filter(|found| *found.spec.name == *container);
            same.map(move |found| (&**pod, found))
        });
        for (pod, found) in named {
            let known = images.iter_mut().find(|image| {
                *image.name == *found.spec.followed() && *image.pull_secrets == *pod.pull_secrets
            });
            if let Some(image) = known {
                image.pods.push((pod, found));
            } else {
                images.push(Self {
                    name: found.spec.followed(),
                    reference: &found.spec.reference,
                    pull_secrets: &pod.pull_secrets,
                    pods: vec![(pod, found)],
                });
            }
        }
        images
    }

    /// The same image, whatever its pods run.
    pub(super) fn without_pods(&self) -> Self {
        Self {
            pods: Vec::new(),
            ..*self
        }
    }

    /// The image without the digest that its pods are pinned to.
    pub(super) const fn name(&self) -> &'a str {
        self.name
    }

    /// Whether it is named by digest, which never moves.
    pub(super) fn is_pinned(&self) -> bool {
        self.reference.as_ref().is_ok_and(reference::is_pinned)
    }

    /// Whether some of its pods start it from what their node has.
    pub(super) fn need_not_be_pulled(&self) -> bool {
        let mut pods = self.pods.iter();
        pods.any(|(_, container)| !container.spec.pulls())
    }

    /// Looks up what its tag names, and compares that with what its pods run; nothing while something has to be fetched.
    pub(super) fn lookup(&self, asking: Asking<'_>) -> Option<Learnt> {
        let reference = match self.reference {
            Ok(reference) => reference,
            Err(error) => return Some(self.failed(Failure::invalid_reference(*error), None)),
        };
        if reference::is_pinned(reference) {
            // The newest pods name a tag, so this is how it was before: what is named cannot have moved.
            return Some(Learnt {
                tag: Err(Reason::Pinned),
                since: None,
                pods: self.all(Verdict::Current(Reason::Current)),
                failure: None,
                asked: None,
                kept: Kept::default(),
            });
        }
        let sources = &asking.sources.credentials;
        let (namespace, secrets, waiter) = (asking.namespace, self.pull_secrets, asking.waiter);
        let credentials = sources.lookup(namespace, secrets, reference, waiter)?;
        let (tag, key) = self.tag(asking, reference, &credentials)?;
        let asked = Some(Asked {
            key,
            begun: tag.begun,
            retry: tag.retry,
        });
        let since = tag.since();
        match &tag.digest {
            Ok(digest) => {
                let of = (reference, &credentials);
                let (pods, failure) = compare(&self.pods, asking, of, digest, since)?;
                Some(Learnt {
                    tag: Ok(digest.clone()),
                    since,
                    pods,
                    failure,
                    asked,
                    kept: Kept::lookup(&self.pods, asking, of, &tag),
                })
            }
            Err(failure) => {
                sources.refused(namespace, secrets, failure.reason, tag.begun);
                let failure = self.explained(failure.clone(), asking, reference, &credentials);
                Some(Learnt {
                    since,
                    ..self.failed(failure, asked)
                })
            }
        }
    }

    /// Compares its pods that are stale with a tag of the `newest` image as well, and takes that verdict for theirs.
    /// Nothing while a manifest is being read.
    pub(super) fn confirm(
        &self,
        newest: &Image<'_>,
        tag: &Digest,
        learnt: &mut Learnt,
        asking: Asking<'_>,
    ) -> Option<()> {
        let is_stale = |pod: &Running| pod.verdict == Verdict::Stale;
        let Ok(reference) = newest.reference else {
            return Some(());
        };
        if !learnt.pods.iter().any(is_stale) {
            return Some(());
        }
        let sources = &asking.sources.credentials;
        let (namespace, secrets) = (asking.namespace, newest.pull_secrets);
        let credentials = sources.lookup(namespace, secrets, reference, asking.waiter)?;
        let of = (reference, &credentials);
        let (confirmed, failure) = compare(&self.pods, asking, of, tag, None)?;
        let pods = learnt.pods.iter_mut().zip(confirmed);
        for (pod, confirmed) in pods.filter(|(pod, _)| is_stale(pod)) {
            *pod = confirmed;
        }
        learnt.failure = learnt.failure.take().or(failure);
        Some(())
    }

    /// What the pods are said to run, whatever they name.
    pub(super) fn all(&self, verdict: Verdict) -> Vec<Running> {
        let pods = self.pods.iter();
        let all = pods.map(|(pod, container)| {
            let digest = ImageId::parse(&container.image_id).digest().cloned();
            described(pod, container, digest, verdict)
        });
        all.collect()
    }

    /// The failure, with what the Secrets have in the place of credentials.
    fn explained(
        &self,
        failure: Failure,
        asking: Asking<'_>,
        reference: &Reference,
        credentials: &CredentialChain,
    ) -> Failure {
        if !credentials.is_empty() {
            return failure;
        }
        let sources = &asking.sources.credentials;
        let (namespace, secrets) = (asking.namespace, self.pull_secrets);
        match sources.missing(namespace, secrets, reference) {
            Some(missing) => failure.for_want_of(&missing),
            None => failure,
        }
    }

    fn failed(&self, failure: Failure, asked: Option<Asked>) -> Learnt {
        Learnt {
            tag: Err(failure.reason),
            since: None,
            pods: self.all(Verdict::Unknown(failure.reason)),
            failure: Some(failure),
            asked,
            kept: Kept::default(),
        }
    }

    /// The tag, as fresh as it must be.
    fn tag(
        &self,
        asking: Asking<'_>,
        reference: &Reference,
        credentials: &CredentialChain,
    ) -> Option<(Arc<Tag>, Key)> {
        let of = |not_before| {
            let tags = &asking.sources.tags;
            tags.lookup(reference, credentials, not_before, asking.waiter)
        };
        let (tag, key) = of(asking.freshness.tick)?;
        if asking.freshness.asked.is_none() {
            return Some((tag, key));
        }
        let begun = tag.begun.checked_sub(CLOCK_SKEW).unwrap_or(tag.begun);
        let mut started = self.pods.iter().filter_map(|(_, found)| found.started);
        if started.any(|started| started > begun) {
            return of(asking.listed);
        }
        // An answer from before the tag had settled says nothing of that.
        let settled = tag
            .since()
            .map(|since| since.checked_add(asking.sources.settle));
        if let Some(Ok(settled)) = settled
            && settled <= clock::now()
            && tag.begun < settled
        {
            return of(settled);
        }
        Some((tag, key))
    }
}

/// Whether the image is named by digest.
pub(super) fn is_pinned(image: &str) -> bool {
    reference::parse(image).is_ok_and(|reference| reference::is_pinned(&reference))
}

#[cfg(test)]
mod tests;
