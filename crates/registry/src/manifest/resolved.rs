//! The result of resolving a reference.

use std::sync::Arc;

use oci_spec::image::Digest;

use crate::{auth::authorization::AuthMethod, http::rate_limit::RateLimit};

/// The manifest or index that a reference resolves to.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Resolved {
    /// The digest that a node would pull.
    pub digest: Digest,
    /// One of the four kinds: a manifest or an index, of OCI or Docker.
    pub media_type: String,
    /// The length of the manifest or index in bytes, where the registry reports it.
    pub size: Option<u64>,
    /// How the digest was determined.
    pub source: DigestSource,
    /// How the client authenticated.
    pub auth_method: AuthMethod,
    /// The identity that the credential was issued to, if a cloud issued it.
    pub identity: Option<Arc<str>>,
    /// The pulls that are left, where the registry reports them.
    pub rate_limit: Option<RateLimit>,
}

/// How a digest was determined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DigestSource {
    /// From the headers alone.
    Head,
    /// From the body, as the headers did not report it. Docker Hub counts this as a pull.
    Get,
}
