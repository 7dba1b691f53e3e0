//! Errors of registries, their token servers, and what is between.

pub(crate) mod body;
mod kind;
pub(crate) mod repr;

use std::{error::Error as StdError, fmt, sync::Arc, time::Duration};

use http::StatusCode;

pub use self::kind::ErrorKind;
use self::{body::ErrorBody, repr::Repr};

/// The longest wait that a server is granted, whatever it asks for.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(60 * 60);

/// A request to a registry that failed. Cloning is cheap enough to share one failure among several callers.
///
/// Its text names the host and what happened, with what the registry itself says about it, escaped and cut to a line;
/// never a credential or the query of a URL. The caller knows the reference that it asked for, so the text does not
/// repeat it.
#[derive(Debug, Clone)]
pub struct Error(Box<Inner>);

#[derive(Debug, Clone)]
struct Inner {
    host: Box<str>,
    repr: Repr,
    response: Option<FailedResponse>,
    refusals: Vec<Error>,
    /// Of a credential that was issued and is refused: to whom it was issued, and what helps.
    refused: Option<(Arc<str>, Option<&'static str>)>,
}

/// What is kept of a response that is a failure.
#[derive(Debug, Clone)]
struct FailedResponse {
    status: StatusCode,
    said: ErrorBody,
    retry_after: Option<Duration>,
}

impl Error {
    pub(crate) fn new(host: impl Into<Box<str>>, repr: Repr) -> Self {
        Self(Box::new(Inner {
            host: host.into(),
            repr,
            response: None,
            refusals: Vec::new(),
            refused: None,
        }))
    }

    /// The error that a response of a host is: its status, what it says, and how long it asks to wait.
    pub(crate) fn of_response(
        host: impl Into<Box<str>>,
        repr: Repr,
        (status, said, retry_after): (StatusCode, ErrorBody, Option<Duration>),
    ) -> Self {
        let mut error = Self::new(host, repr);
        error.0.response = Some(FailedResponse {
            status,
            said,
            retry_after,
        });
        error
    }

    /// The same of a manifest that a tag names: it is not gone for good.
    pub(crate) fn of_a_tag(mut self) -> Self {
        if matches!(self.0.repr, Repr::NotFound) {
            self.0.repr = Repr::ManifestMissing;
        }
        self
    }

    /// The error with those of other credentials.
    pub(crate) fn with_refusals(mut self, refusals: Vec<Self>) -> Self {
        self.0.refusals = refusals;
        self
    }

    /// The refusal of what was issued to an identity, and what helps.
    pub(crate) fn of_identity(
        mut self,
        identity: Option<Arc<str>>,
        advice: Option<&'static str>,
    ) -> Self {
        self.0.refused = identity.map(|identity| (identity, advice));
        self
    }

    /// What kind of failure it was.
    pub fn kind(&self) -> ErrorKind {
        self.0.repr.kind()
    }

    /// The host that failed: the registry, its token server, or where one of them redirected to.
    pub fn host(&self) -> &str {
        &self.0.host
    }

    /// The HTTP status of the response that is the failure. None where nothing was asked, nothing was answered, or the
    /// response was a success of which no use could be made.
    pub fn status(&self) -> Option<u16> {
        let status = self.0.response.as_ref()?.status;
        (!status.is_success()).then(|| status.as_u16())
    }

    /// The error codes in the response's body, as the server writes them: those of the distribution specification
    /// (`DENIED`, `MANIFEST_UNKNOWN`, …) or of `OAuth2` (`invalid_grant`, …). A response to HEAD has none.
    pub fn codes(&self) -> &[String] {
        let response = self.0.response.as_ref();
        response.map_or(&[], |response| &response.said.codes)
    }

    /// What the server says about the failure: one line, escaped and cut. It is for people, and its words may change at
    /// any time.
    pub fn message(&self) -> Option<&str> {
        self.0.response.as_ref()?.said.message.as_deref()
    }

    /// Whether asking again later may succeed without anybody changing anything: time-outs, connections that fail, servers
    /// that fail or have too much to do. Not so for refusals, missing images, and answers that are not understood.
    pub fn is_transient(&self) -> bool {
        self.0.repr.is_transient()
    }

    /// Whether a manifest is denied by its digest to somebody whom the registry gives the tag of the same repository: a
    /// policy of the registry about that manifest, which says nothing about the credential or the repository.
    pub fn is_manifest_denied(&self) -> bool {
        matches!(self.0.repr, Repr::ManifestDenied(_))
    }

    /// Whether a tag names a manifest that the registry does not have: its replicas or its cache are behind.
    pub fn is_manifest_missing(&self) -> bool {
        matches!(self.0.repr.cause(), Repr::ManifestMissing)
    }

    /// Whether access is refused to a request without credentials.
    pub fn is_anonymous(&self) -> bool {
        matches!(
            self.0.repr.cause(),
            Repr::Unauthorized {
                had_credentials: false
            } | Repr::Denied {
                had_credentials: false
            } | Repr::TokenDenied {
                had_credentials: false
            }
        )
    }

    /// Whether it is the token server that denies access (403). GHCR answers so to a token that has expired, too.
    pub fn is_token_denied(&self) -> bool {
        matches!(self.0.repr.cause(), Repr::TokenDenied { .. })
    }

    /// Whether a proxy is why the registry cannot be reached.
    pub fn is_proxy(&self) -> bool {
        matches!(self.0.repr.cause(), Repr::Proxy(_))
    }

    /// What the provider of a credential says to do about it: that it gave none, or that the registry refuses it.
    pub fn provider_advice(&self) -> Option<&'static str> {
        match &self.0.repr {
            Repr::Provider(error) => Some(error.advice()),
            _ => self.0.refused.as_ref()?.1,
        }
    }

    /// The refusals of the other credentials, if several were tried in vain, in the order in which they were tried.
    pub fn refusals(&self) -> &[Self] {
        &self.0.refusals
    }

    /// How long to wait before asking again, where that is known: what the server asks for, an hour at most, or what is
    /// left of a back-off, of a quarantine, or of the time in which a host is not asked that has failed too often.
    pub fn retry_after(&self) -> Option<Duration> {
        match self.0.repr {
            Repr::RateLimited { retry_after } => Some(retry_after),
            Repr::Provider(ref error) => error.wait(),
            Repr::Quarantined { remaining } | Repr::Down { remaining, .. } => Some(remaining),
            _ => {
                let asked = self.0.response.as_ref()?.retry_after?;
                Some(asked.min(MAX_RETRY_AFTER))
            }
        }
    }

    pub(crate) fn repr(&self) -> &Repr {
        &self.0.repr
    }

    /// What the response says, if it says anything.
    fn said(&self) -> Option<&ErrorBody> {
        let said = &self.0.response.as_ref()?.said;
        (!said.is_empty()).then_some(said)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.0.host, self.0.repr)?;
        if let Some(said) = self.said() {
            write!(formatter, " ({said})")?;
        }
        if let Some((identity, _)) = &self.0.refused {
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
