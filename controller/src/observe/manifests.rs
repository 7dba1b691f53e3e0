//! The manifests that a comparison needs.

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
    compare::{self, Comparison, ManifestLookup, Step, Verdict},
    manifest::Manifest,
    state::Reason,
};
use kube_autorollout_registry::{CredentialChain, Error, ErrorKind, RegistryClient};

use crate::registry::failure::Failure;

/// How many manifests are requested concurrently: each may have the maximum size.
const AT_ONCE: usize = 4;

/// The total size of the manifests of one comparison, in bytes; those of real images have some hundred kilobytes.
const MAX_BYTES: usize = 8 * 1024 * 1024;

/// The manifests of one repository that have been requested so far.
pub(super) struct Manifests<'a> {
    client: &'a RegistryClient,
    reference: &'a Reference,
    credentials: &'a CredentialChain,
    lookups: HashMap<Digest, ManifestLookup>,
    /// The total size of the bodies.
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
            lookups: HashMap::new(),
            bytes: AtomicUsize::new(0),
            failure: None,
        }
    }

    /// Compares what runs with the tag, and fetches the manifests that this needs.
    pub(super) async fn compare(&mut self, comparison: Comparison<'_>) -> Verdict {
        let verdict = loop {
            let lookup = |digest: &Digest| self.lookups.get(digest).cloned();
            match compare::compare(comparison, &lookup) {
                Step::Done(verdict) => break verdict,
                Step::Needs(digests) => self.fetch(digests, comparison.tag).await,
            }
        };
        if verdict == Verdict::CannotStart(Reason::UnsupportedMediaType)
            && let Some(artifact) = self.artifact(comparison.tag)
        {
            self.failure = Some(Failure::not_an_image(self.reference, &artifact));
        }
        // The failure to fetch the manifest of the tag itself says that it is missing.
        if verdict == Verdict::Unknown(Reason::TagNotFound) && self.failure.is_none() {
            self.failure = Some(Failure::incomplete(self.reference, comparison.tag));
        }
        verdict
    }

    /// The artifact that the digest identifies, or that its index lists instead of an image.
    fn artifact(&self, digest: &Digest) -> Option<ArtifactType> {
        let manifest = |digest: &Digest| match self.lookups.get(digest)? {
            ManifestLookup::Manifest(manifest) => Some(&**manifest),
            ManifestLookup::Unavailable | ManifestLookup::Failed(_) => None,
        };
        let artifact = |digest: &Digest| match manifest(digest)? {
            Manifest::Image(image) => image.artifact.clone(),
            Manifest::Index(_) => None,
        };
        if let Manifest::Index(index) = manifest(digest)? {
            return index.runnable().find_map(|entry| artifact(&entry.digest));
        }
        artifact(digest)
    }

    /// Whether all requested manifests were received.
    pub(super) fn are_complete(&self) -> bool {
        let mut lookups = self.lookups.values();
        lookups.all(|lookup| matches!(lookup, ManifestLookup::Manifest(_)))
    }

    /// The last failure.
    pub(super) fn failure(self) -> Option<Failure> {
        self.failure
    }

    /// Fetches manifests; `tag` is the digest behind the tag.
    async fn fetch(&mut self, digests: Vec<Digest>, tag: &Digest) {
        let this = &*self;
        let each = digests.into_iter().map(|digest| async move {
            let lookup = this.fetch_one(&digest, tag).await;
            (digest, lookup)
        });
        // Boxed, so that comparisons without a fetch do not reserve its size.
        let fetched: Vec<_> = Box::pin(stream::iter(each).buffered(AT_ONCE).collect()).await;
        for (digest, lookup) in fetched {
            let lookup = lookup.unwrap_or_else(|failure| {
                let reason = failure.reason;
                self.failure = Some(failure);
                ManifestLookup::Failed(reason)
            });
            self.lookups.insert(digest, lookup);
        }
    }

    /// Fetches one manifest. Its body is dropped before the next request.
    async fn fetch_one(&self, digest: &Digest, tag: &Digest) -> Result<ManifestLookup, Failure> {
        if self.bytes.load(Ordering::Relaxed) > MAX_BYTES {
            return Err(Failure::too_large(self.reference));
        }
        let fetched = self
            .client
            .manifest(self.reference, digest, self.credentials);
        let manifest = match fetched.await {
            Ok(manifest) => manifest,
            Err(error) if digest != tag && error.kind() == ErrorKind::NotFound => {
                return Ok(ManifestLookup::Unavailable);
            }
            Err(error) if digest != tag && error.is_manifest_denied() => {
                let error = match self.is_denied_alone(digest, tag).await {
                    Ok(true) => return Ok(ManifestLookup::Unavailable),
                    Ok(false) => error,
                    Err(other) => other,
                };
                return Err(Failure::of(self.reference, &error));
            }
            Err(error) => return Err(Failure::of(self.reference, &error)),
        };
        self.bytes.fetch_add(manifest.body.len(), Ordering::Relaxed);
        match Manifest::parse(&manifest.media_type, &manifest.body) {
            Ok(parsed) => Ok(ManifestLookup::Manifest(Arc::new(parsed))),
            Err(error) => Err(Failure::unreadable_manifest(self.reference, digest, &error)),
        }
    }

    /// Whether the registry denies this manifest but serves that of the tag: it has a policy against this image, which the next
    /// one replaces. If it denies both, the cause is different. Cached manifests prove neither.
    async fn is_denied_alone(&self, digest: &Digest, tag: &Digest) -> Result<bool, Error> {
        self.request_again(tag).await?;
        match self.request_again(digest).await {
            Ok(()) => Ok(false),
            Err(error) if error.is_manifest_denied() => Ok(true),
            Err(error) => Err(error),
        }
    }

    /// Requests a manifest by `HEAD`, whether it is cached or not.
    async fn request_again(&self, digest: &Digest) -> Result<(), Error> {
        let reference = self.reference.clone_with_digest(digest.to_string());
        let response = self.client.resolve(&reference, self.credentials);
        Box::pin(response).await.map(drop)
    }
}

#[cfg(test)]
mod tests;
