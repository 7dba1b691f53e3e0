//! How a client is set up.

use std::{fmt, num::NonZeroUsize, sync::Arc, time::Duration};

use jiff::Timestamp;

use crate::{Endpoint, HostPattern, Observer, observer::Unobserved};

/// How a [`Client`](crate::Client) is set up. The defaults suit public registries.
#[derive(Clone)]
pub struct Options {
    /// What is special about some registries; the first entry whose pattern matches wins.
    pub hosts: Vec<HostOptions>,
    /// PEM files, any number of certificates each, added to the public roots.
    pub ca_certificates: Vec<Vec<u8>>,
    /// The `User-Agent` header, `name/version` by custom.
    pub user_agent: String,
    /// Is told of every request.
    pub observer: Arc<dyn Observer>,
    /// For name resolution, TCP and TLS together.
    pub connect_timeout: Duration,
    /// For one request and its answer, body included.
    pub request_timeout: Duration,
    /// For everything that one call costs: challenges, tokens, redirects and retries, but not waiting for other calls.
    pub total_timeout: Duration,
    /// For waiting for other calls: for those ahead that ask the same hosts, and for who asks for the same. A call ends
    /// within this and `total_timeout`.
    pub queue_timeout: Duration,
    /// Proxies, as the environment variables of the same names give them.
    pub proxy: Proxy,
    /// Look for the manifests of an Artifactory at its native address where `/v2/` has none, as behind a proxy that
    /// does not rewrite `/v2/<repository key>/`. The first component of a repository is the key. What a host turns
    /// out to need is remembered for all its repositories.
    pub artifactory_fallback: bool,
    /// How many requests may be in flight to one host at once, where [`HostOptions`] do not say.
    pub max_concurrent_requests: NonZeroUsize,
    /// Tells the time of day, which is needed only to report when a back-off ends.
    pub clock: fn() -> Timestamp,
}

/// What is special about a registry.
#[derive(Debug, Clone)]
pub struct HostOptions {
    /// Which registries are meant.
    pub pattern: HostPattern,
    /// Ask here in the place of the registry itself. There is no way back to it. Credentials are those for the endpoint,
    /// see [`Endpoint::locate`].
    pub endpoint: Option<Endpoint>,
    /// Speak HTTP instead of HTTPS. Without effect beside an endpoint.
    pub plain_http: bool,
    /// PEM files for this registry and its token server, on top of those for all.
    pub ca_certificates: Vec<Vec<u8>>,
    /// How many requests may be in flight to the host at once.
    pub max_concurrent_requests: usize,
}

/// Proxies in the form of the environment variables `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY`; empty: none. Their
/// addresses may hold a login and are `http://`, or without a scheme.
#[derive(Clone, Default)]
pub struct Proxy {
    /// For `https` registries. May hold a login, so it is not shown in `Debug`.
    pub https: String,
    /// For registries with [`HostOptions::plain_http`].
    pub http: String,
    /// Hosts, domains, addresses and networks that are reached directly, separated by commas.
    pub no: String,
}

/// Requests in flight to one host: polite over HTTP/2, and 100 tags 50 ms away take under a second.
const MAX_CONCURRENT_REQUESTS: NonZeroUsize = NonZeroUsize::MIN.saturating_add(7);

impl Default for Options {
    fn default() -> Self {
        Self {
            hosts: Vec::new(),
            ca_certificates: Vec::new(),
            user_agent: concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION")).to_owned(),
            observer: Arc::new(Unobserved),
            connect_timeout: Duration::from_secs(10),
            request_timeout: Duration::from_secs(30),
            total_timeout: Duration::from_secs(45),
            queue_timeout: Duration::from_secs(120),
            proxy: Proxy::default(),
            artifactory_fallback: false,
            max_concurrent_requests: MAX_CONCURRENT_REQUESTS,
            clock: wall_clock,
        }
    }
}

impl HostOptions {
    /// Options that change nothing yet.
    pub fn new(pattern: HostPattern) -> Self {
        Self {
            pattern,
            endpoint: None,
            plain_http: false,
            ca_certificates: Vec::new(),
            max_concurrent_requests: MAX_CONCURRENT_REQUESTS.get(),
        }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Options")
            .field("hosts", &self.hosts)
            .field("user_agent", &self.user_agent)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Proxy")
            .field("no", &self.no)
            .finish_non_exhaustive()
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the default of a clock that is a parameter"
)]
fn wall_clock() -> Timestamp {
    Timestamp::now()
}

/// Options that no client can be made of.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OptionsError {
    /// A PEM file cannot be read.
    #[error("{place}: the certificates cannot be read: {reason}")]
    Certificate {
        /// Which of the lists it is in, and at which place.
        place: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A PEM file without a single certificate.
    #[error("{place}: the file has no certificate")]
    NoCertificate {
        /// Which of the lists it is in, and at which place.
        place: String,
    },
    /// The user agent cannot be sent in a header.
    #[error("the user agent {0:?} has characters that a header cannot carry")]
    UserAgent(String),
    /// A proxy's address is not understood, or not of a proxy that speaks plain HTTP to us. It may hold a login, so it
    /// is not repeated.
    #[error("the proxy for {variable} must be an address like http://host:port")]
    Proxy {
        /// Which of the fields of [`Proxy`].
        variable: &'static str,
    },
    /// No request could ever be sent.
    #[error("{pattern}: at least one request must be allowed at once")]
    NoRequests {
        /// The pattern of the host.
        pattern: HostPattern,
    },
    /// TLS cannot be set up with the built-in cipher suites.
    #[error("TLS cannot be set up: {0}")]
    Tls(String),
}
