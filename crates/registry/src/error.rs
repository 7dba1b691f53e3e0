//! Why a registry did not tell what was asked.

use std::{error::Error as StdError, fmt, time::Duration};

use http::StatusCode;

use crate::{error_body::ErrorBody, exchange::Answer, fault::Fault, rate_limit};

/// The longest wait that a server is granted, whatever it asks for.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(60 * 60);

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
    /// The kind's own name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InvalidReference => "InvalidReference",
            Self::NotFound => "NotFound",
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

/// A failed question to a registry. Cloning is cheap enough to share one failure among several callers.
///
/// Its text names the host and what happened, with what the registry itself says about it, escaped and cut to a line;
/// never a credential or the query of a URL. The caller knows the reference that it asked for, so the text does not
/// repeat it.
#[derive(Clone)]
pub struct Error(Box<Inner>);

#[derive(Clone)]
struct Inner {
    host: Box<str>,
    fault: Fault,
    answer: Option<FailedAnswer>,
    refusals: Vec<Error>,
}

/// What is kept of an answer that is a failure.
#[derive(Clone)]
struct FailedAnswer {
    status: StatusCode,
    said: ErrorBody,
    retry_after: Option<Duration>,
}

impl Error {
    pub(crate) fn new(host: impl Into<Box<str>>, fault: Fault) -> Self {
        Self(Box::new(Inner {
            host: host.into(),
            fault,
            answer: None,
            refusals: Vec::new(),
        }))
    }

    /// The error that an answer is, of the host that gave it.
    pub(crate) fn answered(answer: &Answer, fault: Fault) -> Self {
        Self(Box::new(Inner {
            host: answer.host.origin.to_string().into(),
            fault,
            answer: Some(FailedAnswer {
                status: answer.status,
                said: answer.said.clone(),
                retry_after: rate_limit::retry_after(&answer.headers),
            }),
            refusals: Vec::new(),
        }))
    }

    /// The same of a manifest that a tag names: it is not gone for good.
    pub(crate) fn of_a_tag(mut self) -> Self {
        if matches!(self.0.fault, Fault::NotFound) {
            self.0.fault = Fault::ManifestMissing;
        }
        self
    }

    /// The error with those of other credentials.
    pub(crate) fn with_refusals(mut self, refusals: Vec<Self>) -> Self {
        self.0.refusals = refusals;
        self
    }

    /// What kind of failure it was.
    pub fn kind(&self) -> ErrorKind {
        self.0.fault.kind()
    }

    /// The host that failed: the registry, its token server, or where one of them redirected to.
    pub fn host(&self) -> &str {
        &self.0.host
    }

    /// The HTTP status of the answer that is the failure. None where nothing was asked, nothing was answered, or the
    /// answer was a success of which no use could be made.
    pub fn status(&self) -> Option<u16> {
        let status = self.0.answer.as_ref()?.status;
        (!status.is_success()).then(|| status.as_u16())
    }

    /// The error codes in the answer's body, as the server writes them: those of the distribution specification
    /// (`DENIED`, `MANIFEST_UNKNOWN`, …) or of `OAuth2` (`invalid_grant`, …). An answer to HEAD has none.
    pub fn codes(&self) -> &[String] {
        let answer = self.0.answer.as_ref();
        answer.map_or(&[], |answer| &answer.said.codes)
    }

    /// What the server says about the failure: one line, escaped and cut. It is for people, and its words may change at
    /// any time.
    pub fn message(&self) -> Option<&str> {
        self.0.answer.as_ref()?.said.message.as_deref()
    }

    /// Whether asking again later may succeed without anybody changing anything: time-outs, connections that fail, servers
    /// that fail or have too much to do. Not so for refusals, missing images, and answers that are not understood.
    pub fn is_transient(&self) -> bool {
        self.0.fault.is_transient()
    }

    /// Whether a manifest is denied by its digest to somebody whom the registry gives the tag of the same repository: a
    /// policy of the registry about that manifest, which says nothing about the credential or the repository.
    pub fn is_manifest_denied(&self) -> bool {
        matches!(self.0.fault, Fault::ManifestDenied(_))
    }

    /// Whether a tag names a manifest that the registry does not have: its replicas or its cache are behind.
    pub fn is_manifest_missing(&self) -> bool {
        matches!(self.0.fault.cause(), Fault::ManifestMissing)
    }

    /// Whether access is refused to a request without credentials.
    pub fn is_anonymous(&self) -> bool {
        matches!(
            self.0.fault.cause(),
            Fault::Unauthorized {
                had_credentials: false
            } | Fault::Denied {
                had_credentials: false
            } | Fault::TokenDenied {
                had_credentials: false
            }
        )
    }

    /// Whether it is the token server that denies access (403). GHCR answers so to a token that has expired, too.
    pub fn is_token_denied(&self) -> bool {
        matches!(self.0.fault.cause(), Fault::TokenDenied { .. })
    }

    /// Whether a proxy is why the registry cannot be reached.
    pub fn is_proxy(&self) -> bool {
        matches!(self.0.fault.cause(), Fault::Proxy(_))
    }

    /// The refusals of the other credentials, if several were tried in vain, in the order in which they were tried.
    pub fn refusals(&self) -> &[Self] {
        &self.0.refusals
    }

    /// How long to wait before asking again, where that is known: what the server asks for, an hour at most, or what is
    /// left of a back-off, of a quarantine, or of the time in which a host is not asked that has failed too often.
    pub fn retry_after(&self) -> Option<Duration> {
        match self.0.fault {
            Fault::RateLimited { retry_after } => Some(retry_after),
            Fault::Quarantined { remaining } | Fault::Down { remaining, .. } => Some(remaining),
            _ => {
                let asked = self.0.answer.as_ref()?.retry_after?;
                Some(asked.min(MAX_RETRY_AFTER))
            }
        }
    }

    pub(crate) fn fault(&self) -> &Fault {
        &self.0.fault
    }

    /// What the answer says, if it says anything.
    fn said(&self) -> Option<&ErrorBody> {
        let said = &self.0.answer.as_ref()?.said;
        (!said.is_empty()).then_some(said)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Error")
            .field("host", &self.0.host)
            .field("fault", &self.0.fault)
            .field("status", &self.status())
            .field("said", &self.said())
            .field("refusals", &self.0.refusals)
            .finish()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.0.host, self.0.fault)?;
        if let Some(said) = self.said() {
            write!(formatter, " ({said})")?;
        }
        if !self.0.refusals.is_empty() {
            let kinds = self.0.refusals.iter().map(|error| error.kind().as_str());
            let kinds = kinds.collect::<Vec<_>>().join(", ");
            write!(formatter, "; with other credentials: {kinds}")?;
        }
        Ok(())
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.fault.source()
    }
}
