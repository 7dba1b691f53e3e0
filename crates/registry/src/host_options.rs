//! Options for some registries.

use std::num::NonZeroUsize;

use crate::{certificate::Certificate, endpoint::Endpoint, host_pattern::HostPattern};

/// Options for the registries that match a pattern.
#[derive(Debug, Clone)]
#[must_use]
pub struct HostOptions {
    pub(crate) pattern: HostPattern,
    pub(crate) endpoint: Option<Endpoint>,
    pub(crate) plain_http: bool,
    pub(crate) certificates: Vec<Certificate>,
    pub(crate) max_concurrent_requests: Option<NonZeroUsize>,
}

impl HostOptions {
    /// Default options.
    pub fn new(pattern: HostPattern) -> Self {
        Self {
            pattern,
            endpoint: None,
            plain_http: false,
            certificates: Vec::new(),
            max_concurrent_requests: None,
        }
    }

    /// Sends requests to an endpoint instead of the registry itself, without a fallback. Credentials are those for the
    /// endpoint, see [`Endpoint::locate`].
    pub fn endpoint(mut self, endpoint: Endpoint) -> Self {
        self.endpoint = Some(endpoint);
        self
    }

    /// Uses HTTP instead of HTTPS. Has no effect with an endpoint.
    pub fn plain_http(mut self, enabled: bool) -> Self {
        self.plain_http = enabled;
        self
    }

    /// Trusts certificates of the registry and its token server, in addition to those for all hosts.
    pub fn certificate(mut self, certificate: Certificate) -> Self {
        self.certificates.push(certificate);
        self
    }

    /// Requests in flight to the host.
    pub fn max_concurrent_requests(mut self, limit: NonZeroUsize) -> Self {
        self.max_concurrent_requests = Some(limit);
        self
    }
}
