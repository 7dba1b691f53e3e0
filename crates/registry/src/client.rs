//! The client and its builder.

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

/// A client for the digests and manifests of registries. Cloning is cheap, and clones share all state.
///
/// All futures are cancel-safe: no lock stays held, and caches contain complete responses only.
#[derive(Clone)]
pub struct RegistryClient {
    manifests: Arc<ManifestService>,
}

impl RegistryClient {
    /// Configures a client.
    pub fn builder() -> ClientBuilder {
        ClientBuilder::new()
    }

    /// Resolves a reference to its current digest: by its digest if it has one, else by its tag.
    ///
    /// Costs one HEAD if the registry's authentication scheme is known and a token is cached. GET is used only if HEAD does
    /// not report the digest. The credentials are tried in order, the next one only after a refusal.
    ///
    /// # Errors
    ///
    /// See [`ErrorKind`](crate::ErrorKind). None of them implies that the image has changed.
    pub async fn resolve(
        &self,
        reference: &Reference,
        credentials: &CredentialChain,
    ) -> Result<Resolved, Error> {
        self.manifests.resolve(reference, credentials).await
    }

    /// Fetches a manifest or index by its digest, in the repository of a reference. The body is verified and cached.
    ///
    /// # Errors
    ///
    /// See [`ErrorKind`](crate::ErrorKind). A missing digest is not requested again within 5 seconds, then 10, 20 and so on, up
    /// to an hour; if a tag names it, up to half a minute, and the failure is [transient](Error::is_transient). One that is
    /// [denied alone](Error::is_manifest_denied) is not requested again within a minute.
    pub async fn manifest(
        &self,
        reference: &Reference,
        digest: &Digest,
        credentials: &CredentialChain,
    ) -> Result<Manifest, Error> {
        let manifest = self.manifests.manifest(reference, digest, credentials);
        manifest.await
    }

    /// Fetches a blob by its digest, in the repository of a reference: an image configuration, for example. The body is
    /// verified, and unlike a manifest not cached.
    ///
    /// # Errors
    ///
    /// See [`ErrorKind`](crate::ErrorKind); [`ManifestTooLarge`](crate::ErrorKind::ManifestTooLarge) if it has more than
    /// `max_bytes` bytes.
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

    /// The number of quarantined credentials, by registry.
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

/// Configures a [`RegistryClient`]. The defaults suit public registries.
#[must_use]
pub struct ClientBuilder {
    settings: Settings,
    user_agent: String,
    client_id: String,
    artifactory_fallback: bool,
}

/// Invalid settings of a client.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The user agent is not a valid header.
    #[error("the user agent {0:?} has characters that a header cannot carry")]
    UserAgent(String),
    /// TLS cannot be configured with the built-in cipher suites.
    #[error("TLS cannot be set up: {0}")]
    Tls(String),
}

/// The crate and its version.
const USER_AGENT: &str = concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION"));

/// Requests in flight to one host: a modest load over HTTP/2, and 100 tags at 50 ms latency take under a second.
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

    /// Adds options for some registries. The first whose pattern matches a registry applies.
    pub fn host(mut self, host: HostOptions) -> Self {
        self.settings.hosts.push(host);
        self
    }

    /// Trusts certificates in addition to the public roots.
    pub fn certificate(mut self, certificate: Certificate) -> Self {
        self.settings.certificates.push(certificate);
        self
    }

    /// The `User-Agent` header, `name/version` by custom.
    pub fn user_agent(mut self, user_agent: impl Into<String>) -> Self {
        self.user_agent = user_agent.into();
        self
    }

    /// The `OAuth2` `client_id` of requests with identity tokens: the name of the program. It is neither secret nor registered.
    pub fn client_id(mut self, client_id: impl Into<String>) -> Self {
        self.client_id = client_id.into();
        self
    }

    /// Notifies an observer of every request.
    pub fn observer(mut self, observer: Arc<dyn Observer>) -> Self {
        self.settings.observer = observer;
        self
    }

    /// The timeout of name resolution, TCP and TLS together: 10 s.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.settings.connect_timeout = timeout;
        self
    }

    /// The timeout of one request and its response, including the body: 30 s.
    pub fn request_timeout(mut self, timeout: Duration) -> Self {
        self.settings.request_timeout = timeout;
        self
    }

    /// The timeout of one call with its challenges, tokens, redirects and retries, without waits for other calls: 45 s.
    pub fn total_timeout(mut self, timeout: Duration) -> Self {
        self.settings.total_timeout = timeout;
        self
    }

    /// The timeout of waits for other calls, to the same host or for the same resource: 120 s. A call ends within this plus
    /// [`total_timeout`](Self::total_timeout).
    pub fn queue_timeout(mut self, timeout: Duration) -> Self {
        self.settings.queue_timeout = timeout;
        self
    }

    /// The proxies: none.
    pub fn proxy(mut self, proxy: Proxy) -> Self {
        self.settings.proxy = proxy;
        self
    }

    /// Requests manifests at the native URL of an Artifactory if `/v2/` has none, as behind a proxy that does not rewrite
    /// `/v2/<repository key>/`. The first component of a repository is the key. The URL that works is remembered.
    pub fn artifactory_fallback(mut self, enabled: bool) -> Self {
        self.artifactory_fallback = enabled;
        self
    }

    /// Requests in flight to one host, unless [`HostOptions::max_concurrent_requests`] is set: 8.
    pub fn max_concurrent_requests(mut self, limit: NonZeroUsize) -> Self {
        self.settings.max_concurrent_requests = limit;
        self
    }

    /// Builds the client.
    ///
    /// # Errors
    ///
    /// [`BuildError`] names the invalid setting.
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
