//! Kinds of failures.

use std::fmt;

/// The kind of a failure, for metrics, logs and decisions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The reference is invalid.
    InvalidReference,
    /// The tag, the digest or the whole repository does not exist (404).
    NotFound,
    /// The registry requires credentials, or does not accept those presented (401).
    Unauthorized,
    /// The registry denies access, whether or not the request is authenticated (403).
    Denied,
    /// The credential was refused before and is quarantined.
    CredentialQuarantined,
    /// The cloud did not issue a credential, so no request was sent.
    CloudIdentity,
    /// Too many requests (429), or the backoff after such a response.
    RateLimited,
    /// The registry requires an authentication scheme that this client does not support.
    UnsupportedChallenge,
    /// The token server failed, or its response is malformed.
    TokenServer,
    /// The response is not one of the four kinds of manifests.
    UnsupportedMediaType,
    /// The response is a manifest of schema 1, which runtimes no longer pull.
    Schema1,
    /// The content does not match the requested digest.
    DigestMismatch,
    /// The manifest is larger than any runtime would accept.
    ManifestTooLarge,
    /// The registry redirects to an address that this client does not follow.
    RedirectRefused,
    /// No response in time.
    Timeout,
    /// The TLS handshake failed.
    Tls,
    /// The connection failed.
    Transport,
    /// The registry failed (5xx, or an unexpected status).
    Server,
}

/// The name of the kind, `NotFound` for example.
impl fmt::Display for ErrorKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, formatter)
    }
}
