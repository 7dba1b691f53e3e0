//! Errors of registries, their token servers, and the network between.

mod kind;
pub(crate) mod repr;

use std::{error::Error as StdError, fmt, sync::Arc, time::Duration};

use http::StatusCode;

pub use self::kind::ErrorKind;
use self::repr::Repr;

/// The longest `Retry-After` that is honored.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(60 * 60);

/// A failed request to a registry. Cloning is cheap enough to share one failure among several callers.
///
/// `Display` shows the host, the failure, and the message of the registry, escaped and cut to one line; never a credential
/// or the query of a URL, nor the reference, which the caller has.
#[derive(Debug, Clone)]
pub struct Error(Box<Inner>);

#[derive(Debug, Clone)]
struct Inner {
    host: Box<str>,
    repr: Repr,
    response: Option<FailedResponse>,
    refusals: Vec<Error>,
    /// The identity that a refused credential was issued to, and advice of its provider.
    identity: Option<(Arc<str>, Option<&'static str>)>,
}

/// The parts of a failed response that an error reports.
#[derive(Debug, Clone)]
pub(crate) struct FailedResponse {
    pub(crate) status: StatusCode,
    pub(crate) body: ErrorBody,
    pub(crate) retry_after: Option<Duration>,
}

/// The parsed body of a failed response.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ErrorBody {
    /// As sent by the server, for example `DENIED` or `invalid_grant`.
    pub(crate) codes: Vec<String>,
    /// The first message, escaped and cut.
    pub(crate) message: Option<String>,
}

impl ErrorBody {
    pub(crate) fn is_empty(&self) -> bool {
        self.codes.is_empty() && self.message.is_none()
    }
}

impl fmt::Display for ErrorBody {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.codes.join(", "))?;
        match &self.message {
            Some(message) if self.codes.is_empty() => formatter.write_str(message),
            Some(message) => write!(formatter, ": {message}"),
            None => Ok(()),
        }
    }
}

impl Error {
    pub(crate) fn new(host: impl Into<Box<str>>, repr: Repr) -> Self {
        Self(Box::new(Inner {
            host: host.into(),
            repr,
            response: None,
            refusals: Vec::new(),
            identity: None,
        }))
    }

    /// An error with a response.
    pub(crate) fn of_response(
        host: impl Into<Box<str>>,
        repr: Repr,
        response: FailedResponse,
    ) -> Self {
        let mut error = Self::new(host, repr);
        error.0.response = Some(response);
        error
    }

    /// The error of a missing manifest that a tag names, which may appear later.
    pub(crate) fn named_by_tag(mut self) -> Self {
        if matches!(self.0.repr, Repr::NotFound) {
            self.0.repr = Repr::ManifestMissing;
        }
        self
    }

    /// Adds the errors of other credentials.
    pub(crate) fn with_refusals(mut self, refusals: Vec<Self>) -> Self {
        self.0.refusals = refusals;
        self
    }

    /// Adds the identity that the refused credential was issued to, and advice of its provider.
    pub(crate) fn with_identity(
        mut self,
        identity: Option<Arc<str>>,
        advice: Option<&'static str>,
    ) -> Self {
        self.0.identity = identity.map(|identity| (identity, advice));
        self
    }

    /// The kind of failure.
    pub fn kind(&self) -> ErrorKind {
        self.0.repr.kind()
    }

    /// The host that failed: the registry, its token server, or the target of a redirect.
    pub fn host(&self) -> &str {
        &self.0.host
    }

    /// The HTTP status of the failed response. None if no request was sent, no response came, or a successful response was
    /// invalid.
    pub fn status(&self) -> Option<u16> {
        let status = self.0.response.as_ref()?.status;
        (!status.is_success()).then(|| status.as_u16())
    }

    /// The error codes in the response's body, as sent by the server: those of the distribution specification
    /// (`DENIED`, `MANIFEST_UNKNOWN`, …) or of `OAuth2` (`invalid_grant`, …). A response to HEAD has none.
    pub fn codes(&self) -> &[String] {
        let response = self.0.response.as_ref();
        response.map_or(&[], |response| &response.body.codes)
    }

    /// The server's message about the failure: one line, escaped and cut. It is for people, and its words may change at
    /// any time.
    pub fn message(&self) -> Option<&str> {
        self.0.response.as_ref()?.body.message.as_deref()
    }

    /// Whether a later retry may succeed without a change: timeouts, connection failures, and failing or overloaded servers,
    /// but not refusals, missing images and malformed responses.
    pub fn is_transient(&self) -> bool {
        self.0.repr.is_transient()
    }

    /// Whether one manifest is denied to a caller that has access to a tag of its repository: by a policy for that manifest,
    /// not because of the credential or the repository.
    pub fn is_manifest_denied(&self) -> bool {
        matches!(self.0.repr, Repr::ManifestDenied(_))
    }

    /// Whether a tag names a manifest that the registry does not have: its replicas or its cache are stale.
    pub fn is_manifest_missing(&self) -> bool {
        matches!(self.0.repr.cause(), Repr::ManifestMissing)
    }

    /// Whether a request without credentials was refused.
    pub fn is_anonymous(&self) -> bool {
        matches!(
            self.0.repr.cause(),
            Repr::Unauthorized { had_credentials }
            | Repr::Denied { had_credentials }
            | Repr::TokenDenied { had_credentials } if !had_credentials
        )
    }

    /// Whether the token server denied access (403), as GHCR does for an expired token, too.
    pub fn is_token_denied(&self) -> bool {
        matches!(self.0.repr.cause(), Repr::TokenDenied { .. })
    }

    /// Whether the registry cannot be reached because of a proxy.
    pub fn is_proxy(&self) -> bool {
        matches!(self.0.repr.cause(), Repr::Proxy(_))
    }

    /// Advice of the credential's provider: it issued none, or the registry refused it.
    pub fn provider_advice(&self) -> Option<&'static str> {
        match &self.0.repr {
            Repr::Provider(error) => Some(error.advice()),
            _ => self.0.identity.as_ref()?.1,
        }
    }

    /// The refusals of the other credentials, in the order in which they were tried.
    pub fn refusals(&self) -> &[Self] {
        &self.0.refusals
    }

    /// How long to wait before a retry, if known: the server's `Retry-After`, one hour at most, or the rest of a backoff, of a
    /// quarantine, or of the time that a circuit breaker is open.
    pub fn retry_after(&self) -> Option<Duration> {
        match self.0.repr {
            Repr::RateLimited { retry_after } => Some(retry_after),
            Repr::Provider(ref error) => error.wait(),
            Repr::Quarantined { remaining } | Repr::CircuitOpen { remaining, .. } => {
                Some(remaining)
            }
            _ => {
                let retry_after = self.0.response.as_ref()?.retry_after?;
                Some(retry_after.min(MAX_RETRY_AFTER))
            }
        }
    }

    pub(crate) fn repr(&self) -> &Repr {
        &self.0.repr
    }

    fn body(&self) -> Option<&ErrorBody> {
        let body = &self.0.response.as_ref()?.body;
        (!body.is_empty()).then_some(body)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.0.host, self.0.repr)?;
        if let Some(body) = self.body() {
            write!(formatter, " ({body})")?;
        }
        if let Some((identity, _)) = &self.0.identity {
            write!(formatter, "; asked as {identity}")?;
        }
        if !self.0.refusals.is_empty() {
            let kinds = self.0.refusals.iter().map(|error| error.kind().to_string());
            let kinds = kinds.collect::<Vec<_>>().join(", ");
            write!(formatter, "; with other credentials: {kinds}")?;
        }
        Ok(())
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.repr.source()
    }
}
