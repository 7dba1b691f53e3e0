//! The details of an error.

use std::{sync::Arc, time::Duration};

use http::StatusCode;

use super::kind::ErrorKind;
use crate::credential::ProviderError;

/// The error of a library.
pub(crate) type Cause = Box<dyn std::error::Error + Send + Sync>;

/// The same, shared by several callers.
pub(crate) type Source = Arc<dyn std::error::Error + Send + Sync>;

/// The details of an error.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum Repr {
    #[error("the reference has {0}")]
    InvalidReference(&'static str),
    #[error("no such tag, digest or repository")]
    NotFound,
    #[error("{}", if *.had_credentials { "the credentials are not accepted" } else { "credentials are needed" })]
    Unauthorized { had_credentials: bool },
    #[error("access is denied{}", if *.had_credentials { "" } else { " without credentials" })]
    Denied { had_credentials: bool },
    #[error("the token server denies access{}", if *.had_credentials { "" } else { " without credentials" })]
    TokenDenied { had_credentials: bool },
    #[error("access to this manifest alone is denied")]
    ManifestDenied(StatusCode),
    #[error("the tag names a manifest that the registry does not have")]
    ManifestMissing,
    #[error("the credentials were refused before and are not presented again for {} s", .remaining.as_secs())]
    Quarantined { remaining: Duration },
    #[error(transparent)]
    Provider(ProviderError),
    #[error("too many requests: retry after {} s", .retry_after.as_secs())]
    RateLimited { retry_after: Duration },
    #[error("unsupported authentication challenge: {schemes}")]
    UnsupportedChallenge { schemes: String },
    /// Of this credential: another one may answer the challenge.
    #[error("unsupported authentication challenge: {0}")]
    UnsuitableCredential(&'static str),
    #[error("the token server responded with status {}", .0.as_u16())]
    TokenStatus(StatusCode),
    #[error("the token server's response is malformed")]
    MalformedTokenResponse,
    #[error("the token server issued a token of more than {limit} bytes")]
    TokenTooLong { limit: usize },
    #[error("the response is {found}, not a manifest")]
    UnsupportedMediaType { found: String },
    #[error("the response is a manifest of schema 1")]
    Schema1,
    #[error("expected digest {expected}, got {found}")]
    DigestMismatch { expected: String, found: String },
    #[error("the response is larger than {limit} bytes")]
    TooLarge { limit: usize },
    #[error("refused to follow {to}: {reason}")]
    RedirectRefused { to: String, reason: &'static str },
    #[error("no response within {} s", rounded(.after))]
    Timeout { after: Duration },
    #[error("no connection within {} s", rounded(.after))]
    ConnectTimeout { after: Duration },
    #[error("{repr}; next request in {} s", .remaining.as_secs().max(1))]
    CircuitOpen {
        /// The failure of the requests that were sent.
        repr: Box<Self>,
        remaining: Duration,
    },
    #[error("gave up after {0} requests")]
    TooManyRequests(u32),
    #[error("the TLS handshake failed")]
    Tls(#[source] Source),
    #[error("the registry cannot be reached")]
    Proxy(#[source] Source),
    #[error("no connection could be made")]
    Connect(#[source] Source),
    #[error("the connection failed")]
    Transport(#[source] Source),
    #[error("status {}", .0.as_u16())]
    Status(StatusCode),
}

impl Repr {
    /// The kind that callers see.
    pub(crate) fn kind(&self) -> ErrorKind {
        match self {
            Self::InvalidReference(_) => ErrorKind::InvalidReference,
            Self::NotFound | Self::ManifestMissing => ErrorKind::NotFound,
            Self::Unauthorized { .. } | Self::ManifestDenied(StatusCode::UNAUTHORIZED) => {
                ErrorKind::Unauthorized
            }
            Self::Denied { .. } | Self::TokenDenied { .. } | Self::ManifestDenied(_) => {
                ErrorKind::Denied
            }
            Self::Quarantined { .. } => ErrorKind::CredentialQuarantined,
            Self::Provider(_) => ErrorKind::CloudIdentity,
            Self::RateLimited { .. } => ErrorKind::RateLimited,
            Self::UnsupportedChallenge { .. } | Self::UnsuitableCredential(_) => {
                ErrorKind::UnsupportedChallenge
            }
            Self::TokenStatus(_) | Self::MalformedTokenResponse | Self::TokenTooLong { .. } => {
                ErrorKind::TokenServer
            }
            Self::UnsupportedMediaType { .. } => ErrorKind::UnsupportedMediaType,
            Self::Schema1 => ErrorKind::Schema1,
            Self::DigestMismatch { .. } => ErrorKind::DigestMismatch,
            Self::TooLarge { .. } => ErrorKind::ManifestTooLarge,
            Self::RedirectRefused { .. } => ErrorKind::RedirectRefused,
            Self::Timeout { .. } | Self::ConnectTimeout { .. } => ErrorKind::Timeout,
            Self::CircuitOpen { repr, .. } => repr.kind(),
            Self::Tls(_) => ErrorKind::Tls,
            Self::Connect(_) | Self::Proxy(_) | Self::Transport(_) => ErrorKind::Transport,
            Self::Status(_) | Self::TooManyRequests(_) => ErrorKind::Server,
        }
    }

    /// The failure that opened the circuit breaker, else the failure itself.
    pub(crate) fn cause(&self) -> &Self {
        match self {
            Self::CircuitOpen { repr, .. } => repr.cause(),
            other => other,
        }
    }

    /// Whether a later retry may succeed without a change.
    pub(crate) fn is_transient(&self) -> bool {
        match self {
            Self::Status(status) => {
                !status.is_client_error()
                    || matches!(*status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY)
            }
            // Replicas catch up.
            Self::ManifestMissing => true,
            Self::CircuitOpen { repr, .. } => repr.is_transient(),
            _ => matches!(
                self.kind(),
                ErrorKind::RateLimited
                    | ErrorKind::CloudIdentity
                    | ErrorKind::TokenServer
                    | ErrorKind::Timeout
                    | ErrorKind::Transport
            ),
        }
    }

    /// The same, of a token server.
    pub(crate) fn of_token_server(self) -> Self {
        match self {
            Self::CircuitOpen {
                mut repr,
                remaining,
            } => {
                if let Self::Status(status) = *repr {
                    *repr = Self::TokenStatus(status);
                }
                Self::CircuitOpen { repr, remaining }
            }
            other => other,
        }
    }
}

/// Rounded, so that equal failures have equal messages.
fn rounded(duration: &Duration) -> f32 {
    let seconds = duration.as_secs_f32();
    if seconds < 1.0 {
        (seconds * 10.0).round() / 10.0
    } else {
        seconds.round()
    }
}
