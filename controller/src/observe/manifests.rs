//! The manifests that a comparison asks for.

use std::{collections::HashMap, sync::Arc};

use futures::future;
use kube_autorollout_core::{
    Digest, Reference,
    artifact::ArtifactType,
    compare::{self, Answer, Question, Step, Verdict},
    manifest::Manifest,
    state::Reason,
};
use kube_autorollout_registry::{Client, Credentials, Error, ErrorKind};

use crate::registry_error::Failure;

/// The manifests of one repository that were asked for so far, and what came.
pub(super) struct Manifests<'a> {
    client: &'a Client,
    reference: &'a Reference,
    credentials: &'a Credentials,
    answers: HashMap<Digest, Answer>,
    failure: Option<Failure>,
}

impl<'a> Manifests<'a> {
    pub(super) fn new(
        client: &'a Client,
        reference: &'a Reference,
        credentials: &'a Credentials,
    ) -> Self {
        Self {
            client,
            reference,
            credentials,
            answers: HashMap::new(),
            failure: None,
        }
    }

    /// The image that they are of.
    pub(super) const fn reference(&self) -> &'a Reference {
        self.reference
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

    /// What went wrong, if something did.
    pub(super) fn failure(self) -> Option<Failure> {
        self.failure
    }

    /// Asks for manifests, of which `tag` is the one that the tag names.
    async fn fetch(&mut self, digests: Vec<Digest>, tag: &Digest) {
        // In boxes, as nearly every comparison does without, and would have room for them.
        let each = digests.iter().map(|digest| {
            Box::pin(
                self.client
                    .manifest(self.reference, digest, self.credentials),
            )
        });
        let fetched = future::join_all(each).await;
        for (digest, result) in digests.into_iter().zip(fetched) {
            let answer = match result {
                Ok(manifest) => match Manifest::parse(&manifest.media_type, &manifest.body) {
                    Ok(parsed) => Answer::Manifest(Arc::new(parsed)),
                    Err(error) => self.failed(Failure::unreadable_manifest(
                        self.reference,
                        &digest,
                        &error,
                    )),
                },
                Err(error) if digest != *tag && is_unavailable(&error) => Answer::Unavailable,
                Err(error) => self.failed(Failure::of(self.reference, &error)),
            };
            self.answers.insert(digest, answer);
        }
    }

    fn failed(&mut self, failure: Failure) -> Answer {
        let reason = failure.reason;
        self.failure = Some(failure);
        Answer::Failed(reason)
    }
}

/// Whether the manifest is not there for us, as opposed to an answer that may be another one later.
///
/// One that is denied alone counts, as the registry denies it again when it is asked once more before a rollout: an image
/// that a policy blocks is replaced by the next one. Where it was read before it was blocked, it is compared as it was.
fn is_unavailable(error: &Error) -> bool {
    error.kind() == ErrorKind::TagNotFound || error.is_manifest_denied()
}
