//! What is special about some registries.

use std::num::NonZeroUsize;

use crate::{certificate::Certificate, endpoint::Endpoint, host_pattern::HostPattern};

/// What is special about the registries of a pattern.
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
    /// Options that change nothing yet.
    pub fn new(pattern: HostPattern) -> Self {
        Self {
            pattern,
            endpoint: None,
            plain_http: false,
            certificates: Vec::new(),
            max_concurrent_requests: None,
        }
    }

    /// Ask here instead of the registry itself. There is no way back to it. Credentials are those for the endpoint,
    /// see [`Endpoint::locate`].
    pub fn endpoint(mut self, endpoint: Endpoint) -> Self {
        self.endpoint = Some(endpoint);
        self
    }

    /// Speak HTTP instead of HTTPS. Without effect beside an endpoint.
    pub fn plain_http(mut self, enabled: bool) -> Self {
        self.plain_http = enabled;
        self
    }

    /// Trusts certificates of the registry and its token server, on top of those of all.
    pub fn certificate(mut self, certificate: Certificate) -> Self {
        self.certificates.push(certificate);
        self
    }

    /// How many requests may be in flight to the host at once.
    pub fn max_concurrent_requests(mut self, limit: NonZeroUsize) -> Self {
        self.max_concurrent_requests = Some(limit);
        self
    }
}
