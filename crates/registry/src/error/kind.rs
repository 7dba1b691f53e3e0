//! The kinds of failures.

use std::fmt;

/// What kind of failure it was: the closed list that metrics, logs and decisions use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The reference cannot be asked of a registry.
    InvalidReference,
    /// The tag, the digest or the whole repository is not there (404).
    NotFound,
    /// The registry wants credentials, or does not accept those presented (401).
    Unauthorized,
    /// The registry refuses an authenticated request, or any (403).
    Denied,
    /// The credential was refused before and is not presented again yet.
    CredentialQuarantined,
    /// The cloud that the credential is of issued none; the registry was not asked with it.
    CloudIdentity,
    /// Too many requests (429), or the host is still backing off after such a response.
    RateLimited,
    /// The registry asks for a way of authentication that this client does not speak.
    UnsupportedChallenge,
    /// The token server failed, or its response makes no sense.
    TokenServer,
    /// The response is not one of the four kinds of manifests.
    UnsupportedMediaType,
    /// The response is a manifest of schema 1, which runtimes no longer pull.
    Schema1,
    /// The body does not have the digest that was asked for.
    DigestMismatch,
    /// The manifest is larger than any runtime would accept.
    ManifestTooLarge,
    /// The registry points at an address that this client does not follow.
    RedirectRefused,
    /// No response in time.
    Timeout,
    /// The TLS handshake failed.
    Tls,
    /// The connection failed.
    Transport,
    /// The registry answered with a failure of its own (5xx, or a status that has no meaning here).
    Server,
}

/// The name of the kind, `NotFound` for example.
impl fmt::Display for ErrorKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, formatter)
    }
}
