//! The client: what is asked of a registry, and with which of the credentials.

use std::{collections::BTreeMap, fmt, sync::Arc};

use kube_autorollout_tls::TrustError;
use oci_spec::{distribution::Reference, image::Digest};
use tokio::time::Instant;

use crate::{
    AuthMethod, ClientBuilder, CredentialChain, Manifest, RateLimit,
    error::Error,
    fault::Fault,
    flight::LastFailure,
    inquiry::Inquiry,
    manifest_cache::{Key, ManifestCache},
    quarantine::Quarantine,
    settings::Settings,
    target::Target,
    token::TokenCache,
    transport::{RuleIndex, Transport},
};

/// Asks registries for digests and manifests. Cloning is cheap, and clones share everything.
///
/// All futures may be dropped at any time: nothing stays locked, and caches hold whole answers only.
#[derive(Clone)]
pub struct RegistryClient {
    inner: Arc<Inner>,
}

/// What all clones share.
pub(crate) struct Inner {
    pub(crate) transport: Transport,
    pub(crate) tokens: TokenCache,
    pub(crate) quarantine: Quarantine,
    pub(crate) manifests: ManifestCache,
    pub(crate) artifactory_fallback: bool,
    pub(crate) client_id: String,
}

/// What a registry has behind a reference.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Resolved {
    /// The digest that a node would pull.
    pub digest: Digest,
    /// One of the four kinds: a manifest or an index, of OCI or Docker.
    pub media_type: String,
    /// The length of the manifest or index in bytes, where the registry tells it.
    pub size: Option<u64>,
    /// How the digest was learnt.
    pub source: DigestSource,
    /// How the client authenticated.
    pub auth_method: AuthMethod,
    /// How many pulls are left, where the registry tells it.
    pub rate_limit: Option<RateLimit>,
}

/// How a digest was learnt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DigestSource {
    /// From the headers alone.
    Head,
    /// From the body, as the headers did not tell. Docker Hub counts this as a pull.
    Get,
}

impl DigestSource {
    /// The name in lower case.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Head => "head",
            Self::Get => "get",
        }
    }
}

impl RegistryClient {
    /// Sets up a client.
    pub fn builder() -> ClientBuilder {
        ClientBuilder::new()
    }

    pub(crate) fn new(
        settings: Settings,
        client_id: String,
        artifactory_fallback: bool,
    ) -> Result<Self, TrustError> {
        Ok(Self {
            inner: Arc::new(Inner {
                artifactory_fallback,
                client_id,
                transport: Transport::new(settings)?,
                tokens: TokenCache::new(),
                quarantine: Quarantine::new(),
                manifests: ManifestCache::new(),
            }),
        })
    }

    /// The digest that a reference stands for now: of its digest if it has one, else of its tag.
    ///
    /// Costs one HEAD once the registry's way of authentication is known and a token is at hand. GET is used only if
    /// HEAD does not tell. The credentials are tried in order, the next one only after a refusal.
    ///
    /// # Errors
    ///
    /// See [`ErrorKind`](crate::ErrorKind). None of them says that the image has changed.
    pub async fn resolve(
        &self,
        reference: &Reference,
        credentials: &CredentialChain,
    ) -> Result<Resolved, Error> {
        let (target, rule) = self.target(reference, Target::of)?;
        let inquiry = Inquiry::new(&self.inner, target, rule);
        let resolved = inquiry
            .in_time(Box::pin(inquiry.resolve(credentials)))
            .await?;
        let named = Key::new(&inquiry.target, &resolved.digest);
        self.inner.manifests.name(named);
        Ok(resolved)
    }

    /// A manifest or index by its digest, in the repository of a reference. The body is verified and kept, so that
    /// asking again costs nothing.
    ///
    /// # Errors
    ///
    /// See [`ErrorKind`](crate::ErrorKind). A digest that a registry does not have is not asked for again within the
    /// hour; one that a tag names now within half a minute, and that failure is [transient](Error::is_transient). One
    /// that is [denied alone](Error::is_manifest_denied) is not asked for again within a minute.
    pub async fn manifest(
        &self,
        reference: &Reference,
        digest: &Digest,
        credentials: &CredentialChain,
    ) -> Result<Manifest, Error> {
        let (target, rule) = self.target(reference, |reference, plain_http| {
            Target::of_digest(reference, digest, plain_http)
        })?;
        let key = Key::new(&target, digest);
        let manifests = &self.inner.manifests;
        if let Some(manifest) = manifests.get(&key) {
            return Ok(manifest);
        }
        let inquiry = Inquiry::new(&self.inner, target, rule);
        let fetched = self.fetch(&inquiry, key, digest, credentials);
        inquiry.in_time(Box::pin(fetched)).await
    }

    /// Fetches a manifest, once for all who ask for it at the same time. They share a failure, too.
    async fn fetch(
        &self,
        inquiry: &Inquiry<'_>,
        key: Key,
        digest: &Digest,
        credentials: &CredentialChain,
    ) -> Result<Manifest, Error> {
        let manifests = &self.inner.manifests;
        let scope = credentials.fingerprint();
        let asked = Instant::now();
        let flight = manifests.flight(&key);
        let mut last = inquiry.queue(flight.lock()).await?;
        if let Some(manifest) = manifests.get(&key) {
            return Ok(manifest);
        }
        if let Some(failure) = last.as_ref().and_then(|last| last.since(asked, &scope)) {
            return Err(failure);
        }
        if let Some(error) = manifests.failure(&key, scope) {
            return Err(error);
        }
        match inquiry.manifest(digest, credentials).await {
            Ok(manifest) => {
                manifests.put(key, manifest.clone());
                Ok(manifest)
            }
            Err(error) => {
                let error = manifests.put_failure(key, scope, error);
                *last = Some(LastFailure::new(scope, error.clone()));
                Err(error)
            }
        }
    }

    /// How many credentials are not presented now because they were refused, for each registry that has any.
    pub fn quarantined(&self) -> BTreeMap<String, usize> {
        self.inner.quarantine.refused()
    }

    fn target(
        &self,
        reference: &Reference,
        of: impl FnOnce(&Reference, bool) -> Result<Target, Fault>,
    ) -> Result<(Target, RuleIndex), Error> {
        let transport = &self.inner.transport;
        let rule = transport.rule(reference.registry());
        let target = of(reference, transport.is_plain_http(rule));
        let target = target.and_then(|target| match transport.endpoint(rule) {
            Some(endpoint) => target.at(endpoint),
            None => Ok(target),
        });
        let target = target.map_err(|fault| Error::new(reference.registry(), fault))?;
        Ok((target, rule))
    }
}

impl fmt::Debug for RegistryClient {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("RegistryClient")
            .finish_non_exhaustive()
    }
}
