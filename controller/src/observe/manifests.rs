//! The manifests that a comparison asks for.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use futures::{StreamExt as _, stream};
use kube_autorollout_core::{
    Digest, Reference,
    artifact::ArtifactType,
    compare::{self, Answer, Question, Step, Verdict},
    manifest::Manifest,
    state::Reason,
};
use kube_autorollout_registry::{CredentialChain, Error, ErrorKind, RegistryClient};

use crate::registry::failure::Failure;

/// Manifests of an index of indexes that are asked for at once: each may be as large as a manifest can be.
const AT_ONCE: usize = 4;

/// What the manifests of one comparison may take together, in bytes. Those of real images take some hundred kilobytes.
const MOST_BYTES: usize = 8 * 1024 * 1024;

/// The manifests of one repository that were asked for so far, and what came.
pub(super) struct Manifests<'a> {
    client: &'a RegistryClient,
    reference: &'a Reference,
    credentials: &'a CredentialChain,
    answers: HashMap<Digest, Answer>,
    /// Of the bodies that were read.
    bytes: AtomicUsize,
    failure: Option<Failure>,
}

impl<'a> Manifests<'a> {
    pub(super) fn new(
        client: &'a RegistryClient,
        reference: &'a Reference,
        credentials: &'a CredentialChain,
    ) -> Self {
        Self {
            client,
            reference,
            credentials,
            answers: HashMap::new(),
            bytes: AtomicUsize::new(0),
            failure: None,
        }
    }

    /// Compares what runs with the tag, fetching what that takes.
    pub(super) async fn compare(&mut self, question: Question<'_>) -> Verdict {
        let verdict = loop {
            let known = |digest: &Digest| self.answers.get(digest).cloned();
            match compare::compare(question, &known) {
                Step::Done(verdict) => break verdict,
                Step::Needs(digests) => self.fetch(digests, question.tag).await,
            }
        };
        if verdict == Verdict::CannotStart(Reason::UnsupportedMediaType)
            && let Some(artifact) = self.artifact(question.tag)
        {
            self.failure = Some(Failure::no_image(self.reference, &artifact));
        }
        verdict
    }

    /// What the digest stands for, or lists in the place of an image.
    fn artifact(&self, digest: &Digest) -> Option<ArtifactType> {
        let artifact = |digest: &Digest| match self.answers.get(digest)? {
            Answer::Manifest(manifest) => match &**manifest {
                Manifest::Image(image) => image.artifact.clone(),
                Manifest::Index(_) => None,
            },
            Answer::Unavailable | Answer::Failed(_) => None,
        };
        if let Some(Answer::Manifest(manifest)) = self.answers.get(digest)
            && let Manifest::Index(index) = &**manifest
        {
            return index.runnable().find_map(|entry| artifact(&entry.digest));
        }
        artifact(digest)
    }

    /// Whether all that were asked for came.
    pub(super) fn are_complete(&self) -> bool {
        let mut answers = self.answers.values();
        answers.all(|answer| matches!(answer, Answer::Manifest(_)))
    }

    /// What went wrong, if something did.
    pub(super) fn failure(self) -> Option<Failure> {
        self.failure
    }

    /// Asks for manifests, of which `tag` is the one that the tag names.
    async fn fetch(&mut self, digests: Vec<Digest>, tag: &Digest) {
        let this = &*self;
        let each = digests.into_iter().map(|digest| async move {
            let answer = this.one(&digest, tag).await;
            (digest, answer)
        });
        // In a box, as nearly every comparison does without, and would reserve its size.
        let fetched: Vec<_> = Box::pin(stream::iter(each).buffered(AT_ONCE).collect()).await;
        for (digest, answer) in fetched {
            let answer = answer.unwrap_or_else(|failure| self.failed(failure));
            self.answers.insert(digest, answer);
        }
    }

    /// Asks for one manifest. Its body is gone before the next one is asked for.
    async fn one(&self, digest: &Digest, tag: &Digest) -> Result<Answer, Failure> {
        if self.bytes.load(Ordering::Relaxed) > MOST_BYTES {
            return Err(Failure::too_much(self.reference));
        }
        let fetched = self
            .client
            .manifest(self.reference, digest, self.credentials);
        let manifest = match fetched.await {
            Ok(manifest) => manifest,
            Err(error) if digest != tag && error.kind() == ErrorKind::NotFound => {
                return Ok(Answer::Unavailable);
            }
            Err(error) if digest != tag && error.is_manifest_denied() => {
                return match self.is_denied_alone(digest, tag).await {
                    Ok(true) => Ok(Answer::Unavailable),
                    Ok(false) => Err(Failure::of(self.reference, &error)),
                    Err(error) => Err(Failure::of(self.reference, &error)),
                };
            }
            Err(error) => return Err(Failure::of(self.reference, &error)),
        };
        self.bytes.fetch_add(manifest.body.len(), Ordering::Relaxed);
        match Manifest::parse(&manifest.media_type, &manifest.body) {
            Ok(parsed) => Ok(Answer::Manifest(Arc::new(parsed))),
            Err(error) => Err(Failure::unreadable_manifest(self.reference, digest, &error)),
        }
    }

    /// Whether the registry denies this manifest now, and gives the one that the tag names: it has a policy about this
    /// image, which the next one replaces. A registry that denies both has another trouble, and what is remembered of
    /// either is no answer to that.
    async fn is_denied_alone(&self, digest: &Digest, tag: &Digest) -> Result<bool, Error> {
        self.ask_again(tag).await?;
        match self.ask_again(digest).await {
            Ok(()) => Ok(false),
            Err(error) if error.is_manifest_denied() => Ok(true),
            Err(error) => Err(error),
        }
    }

    /// Asks the registry for a manifest by `HEAD`, whatever is remembered of it.
    async fn ask_again(&self, digest: &Digest) -> Result<(), Error> {
        let (registry, repository) = (self.reference.registry(), self.reference.repository());
        let reference = Reference::with_digest(
            registry.to_owned(),
            repository.to_owned(),
            digest.to_string(),
        );
        let answer = self.client.resolve(&reference, self.credentials);
        Box::pin(answer).await.map(drop)
    }

    fn failed(&mut self, failure: Failure) -> Answer {
        let reason = failure.reason;
        self.failure = Some(failure);
        Answer::Failed(reason)
    }
}

#[cfg(test)]
mod tests;
