//! The client, and how it is set up.

use std::{collections::BTreeMap, fmt, num::NonZeroUsize, sync::Arc, time::Duration};

use bytes::Bytes;
use http::HeaderValue;
use oci_spec::{distribution::Reference, image::Digest};

use crate::{
    auth::Authenticator,
    certificate::Certificate,
    credential::CredentialChain,
    error::Error,
    host_options::HostOptions,
    http::{HttpClient, Settings, proxy::Proxy},
    manifest::{ManifestService, content::Manifest, resolved::Resolved},
    observer::{NoopObserver, Observer},
};

/// Asks registries for digests and manifests. Cloning is cheap, and clones share everything.
///
/// All futures may be dropped at any time: nothing stays locked, and caches hold whole responses only.
#[derive(Clone)]
pub struct RegistryClient {
    manifests: Arc<ManifestService>,
}

impl RegistryClient {
    /// Sets up a client.
    pub fn builder() -> ClientBuilder {
        ClientBuilder::new()
    }

    /// The digest that a reference stands for now: of its digest if it has one, else of its tag.
    ///
    /// Costs one HEAD once the registry's way of authentication is known and a token is at hand. GET is used only if
    /// HEAD does not report the digest. The credentials are tried in order, the next one only after a refusal.
    ///
    /// # Errors
    ///
    /// See [`ErrorKind`](crate::ErrorKind). None of them says that the image has changed.
    pub async fn resolve(
        &self,
        reference: &Reference,
        credentials: &CredentialChain,
    ) -> Result<Resolved, Error> {
        self.manifests.resolve(reference, credentials).await
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
        let manifest = self.manifests.manifest(reference, digest, credentials);
        manifest.await
    }

    /// A blob by its digest, in the repository of a reference: an image configuration, for example. The body is verified,
    /// and unlike a manifest it is not kept.
    ///
    /// # Errors
    ///
    /// See [`ErrorKind`](crate::ErrorKind); [`ManifestTooLarge`](crate::ErrorKind::ManifestTooLarge) where it has more than
    /// `max_bytes` bytes, of which no more are read.
    pub async fn blob(
        &self,
        reference: &Reference,
        digest: &Digest,
        max_bytes: usize,
        credentials: &CredentialChain,
    ) -> Result<Bytes, Error> {
        let blob = self
            .manifests
            .blob(reference, digest, max_bytes, credentials);
        blob.await
    }

    /// How many credentials are not presented now because they were refused, for each registry that has any.
    pub fn quarantined(&self) -> BTreeMap<String, usize> {
        self.manifests.quarantined()
    }
}

impl fmt::Debug for RegistryClient {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("RegistryClient")
            .finish_non_exhaustive()
    }
}

/// Sets up a [`RegistryClient`]. The defaults suit public registries.
#[must_use]
pub struct ClientBuilder {
    settings: Settings,
    user_agent: String,
    client_id: String,
    artifactory_fallback: bool,
}

/// Settings of which no client can be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The user agent cannot be sent in a header.
    #[error("the user agent {0:?} has characters that a header cannot carry")]
    UserAgent(String),
    /// TLS cannot be set up with the built-in cipher suites.
    #[error("TLS cannot be set up: {0}")]
    Tls(String),
}

/// The crate and its version.
const USER_AGENT: &str = concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION"));

/// Requests in flight to one host: polite over HTTP/2, and 100 tags 50 ms away take under a second.
const MAX_CONCURRENT_REQUESTS: NonZeroUsize = NonZeroUsize::MIN.saturating_add(7);

impl ClientBuilder {
    fn new() -> Self {
        Self {
            settings: Settings {
                hosts: Vec::new(),
                certificates: Vec::new(),
                user_agent: HeaderValue::from_static(USER_AGENT),
                observer: Arc::new(NoopObserver),
                connect_timeout: Duration::from_secs(10),
                request_timeout: Duration::from_secs(30),
                total_timeout: Duration::from_secs(45),
                queue_timeout: Duration::from_secs(120),
                proxy: Proxy::default(),
                max_concurrent_requests: MAX_CONCURRENT_REQUESTS,
            },
            user_agent: USER_AGENT.to_owned(),
            client_id: env!("CARGO_PKG_NAME").to_owned(),
            artifactory_fallback: false,
        }
    }

    /// Adds what is special about some registries. Of several whose pattern matches a registry the first one counts.
    pub fn host(mut self, host: HostOptions) -> Self {
        self.settings.hosts.push(host);
        self
    }

    /// Trusts certificates besides the public roots.
    pub fn certificate(mut self, certificate: Certificate) -> Self {
        self.settings.certificates.push(certificate);
        self
    }

    /// The `User-Agent` header, `name/version` by custom.
    pub fn user_agent(mut self, user_agent: impl Into<String>) -> Self {
        self.user_agent = user_agent.into();
        self
    }

    /// The `client_id` with which identity tokens are exchanged (`OAuth2`): the name of the program. It is no secret and
    /// registers nothing.
    pub fn client_id(mut self, client_id: impl Into<String>) -> Self {
        self.client_id = client_id.into();
        self
    }

    /// Is notified of every request.
    pub fn observer(mut self, observer: Arc<dyn Observer>) -> Self {
        self.settings.observer = observer;
        self
    }

    /// For name resolution, TCP and TLS together: 10 s.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.settings.connect_timeout = timeout;
        self
    }

    /// For one request and its response, body included: 30 s.
    pub fn request_timeout(mut self, timeout: Duration) -> Self {
        self.settings.request_timeout = timeout;
        self
    }

    /// For everything that one call costs: challenges, tokens, redirects and retries, but not waiting for other calls.
    /// 45 s.
    pub fn total_timeout(mut self, timeout: Duration) -> Self {
        self.settings.total_timeout = timeout;
        self
    }

    /// For waiting for other calls: for those ahead that ask the same hosts, and for the one that asks for the same. A
    /// call ends within this and [`total_timeout`](Self::total_timeout). 120 s.
    pub fn queue_timeout(mut self, timeout: Duration) -> Self {
        self.settings.queue_timeout = timeout;
        self
    }

    /// The proxies on the way to registries: none.
    pub fn proxy(mut self, proxy: Proxy) -> Self {
        self.settings.proxy = proxy;
        self
    }

    /// Find the manifests of an Artifactory at its native address where `/v2/` has none, as behind a proxy that does
    /// not rewrite `/v2/<repository key>/`. The first component of a repository is the key. Which address a repository
    /// needs is remembered.
    pub fn artifactory_fallback(mut self, enabled: bool) -> Self {
        self.artifactory_fallback = enabled;
        self
    }

    /// How many requests may be in flight to one host at once, where
    /// [`HostOptions::max_concurrent_requests`] does not say: 8.
    pub fn max_concurrent_requests(mut self, limit: NonZeroUsize) -> Self {
        self.settings.max_concurrent_requests = limit;
        self
    }

    /// A client that has asked nothing yet.
    ///
    /// # Errors
    ///
    /// [`BuildError`] names the setting that cannot be used.
    pub fn build(self) -> Result<RegistryClient, BuildError> {
        let user_agent = HeaderValue::try_from(&self.user_agent)
            .map_err(|_| BuildError::UserAgent(self.user_agent))?;
        let settings = Settings {
            user_agent,
            ..self.settings
        };
        let http = HttpClient::new(settings).map_err(|error| BuildError::Tls(error.to_string()))?;
        let auth = Authenticator::new(http, self.client_id);
        let manifests = ManifestService::new(auth, self.artifactory_fallback);
        Ok(RegistryClient {
            manifests: Arc::new(manifests),
        })
    }
}

impl fmt::Debug for ClientBuilder {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("ClientBuilder")
            .field("hosts", &self.settings.hosts)
            .field("user_agent", &self.user_agent)
            .finish_non_exhaustive()
    }
}
