//! Why a registry did not tell what was asked.

use std::{error::Error as StdError, fmt, time::Duration};

use crate::{advice, fault::Fault};

/// What kind of failure it was: the closed list that metrics, logs and decisions use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The reference cannot be asked of a registry.
    InvalidReference,
    /// The tag, the digest or the whole repository is not there (404).
    TagNotFound,
    /// The registry wants credentials, or does not accept those presented (401).
    Unauthorized,
    /// The registry knows who asks and refuses (403).
    Denied,
    /// The credential was refused before and is not presented again yet.
    CredentialQuarantined,
    /// Too many requests (429), or the host is still backing off after such an answer.
    RateLimited,
    /// The registry asks for a way of authentication that this client does not speak.
    UnsupportedChallenge,
    /// The token server failed, or its answer makes no sense.
    TokenServer,
    /// The answer is not one of the four kinds of manifests.
    UnsupportedMediaType,
    /// The answer is a manifest of schema 1, which runtimes no longer pull.
    Schema1,
    /// The body does not have the digest that was asked for.
    DigestMismatch,
    /// The manifest is larger than any runtime would accept.
    ManifestTooLarge,
    /// The registry points at a place where this client does not go.
    RedirectRefused,
    /// No answer in time.
    Timeout,
    /// The TLS handshake failed.
    Tls,
    /// The connection failed.
    Transport,
    /// The registry answered with a failure of its own (5xx, or a status that has no meaning here).
    Server,
}

impl ErrorKind {
    /// The kind's own name, as used in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InvalidReference => "InvalidReference",
            Self::TagNotFound => "TagNotFound",
            Self::Unauthorized => "Unauthorized",
            Self::Denied => "Denied",
            Self::CredentialQuarantined => "CredentialQuarantined",
            Self::RateLimited => "RateLimited",
            Self::UnsupportedChallenge => "UnsupportedChallenge",
            Self::TokenServer => "TokenServer",
            Self::UnsupportedMediaType => "UnsupportedMediaType",
            Self::Schema1 => "Schema1",
            Self::DigestMismatch => "DigestMismatch",
            Self::ManifestTooLarge => "ManifestTooLarge",
            Self::RedirectRefused => "RedirectRefused",
            Self::Timeout => "Timeout",
            Self::Tls => "Tls",
            Self::Transport => "Transport",
            Self::Server => "Server",
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// A failed question to a registry.
///
/// Its text names the host and what happened, never a credential or the query of a URL. The caller knows the
/// reference that it asked for, so the text does not repeat it.
pub struct Error {
    host: Box<str>,
    fault: Box<Fault>,
}

impl Error {
    pub(crate) fn new(host: impl Into<Box<str>>, fault: Fault) -> Self {
        Self {
            host: host.into(),
            fault: Box::new(fault),
        }
    }

    /// What kind of failure it was.
    pub fn kind(&self) -> ErrorKind {
        self.fault.kind()
    }

    /// The host that failed: the registry, its token server, or where one of them redirected to.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// What a user may try, in one sentence.
    pub fn advice(&self) -> &'static str {
        advice::of(&self.fault)
    }

    /// How long to wait before asking again, where that is known.
    pub fn retry_after(&self) -> Option<Duration> {
        match &*self.fault {
            Fault::RateLimited { retry_after } => Some(*retry_after),
            Fault::Quarantined { remaining } => Some(*remaining),
            _ => None,
        }
    }

    pub(crate) fn fault(&self) -> &Fault {
        &self.fault
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Error")
            .field("host", &self.host)
            .field("fault", &self.fault)
            .finish()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.host, self.fault)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.fault.source()
    }
}
