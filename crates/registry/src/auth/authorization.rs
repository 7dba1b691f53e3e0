//! The `Authorization` of a request.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use http::HeaderValue;

use super::{quarantine::Probe, token::Token};

/// How the client authenticated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AuthMethod {
    /// Without credentials, directly or with an anonymous token.
    Anonymous,
    /// With user name and password.
    Basic,
    /// With a token for the credential, or the credential itself as a token.
    Bearer,
}

impl AuthMethod {
    /// The name in lower case.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Anonymous => "anonymous",
            Self::Basic => "basic",
            Self::Bearer => "bearer",
        }
    }
}

/// The authorization of a request.
pub(crate) enum Authorization {
    None,
    /// The credential itself.
    Presented {
        header: HeaderValue,
        method: AuthMethod,
        probe: Probe,
    },
    Token(Token),
}

impl Authorization {
    pub(crate) fn header(&self) -> Option<HeaderValue> {
        match self {
            Self::None => None,
            Self::Presented { header, .. } => Some(header.clone()),
            Self::Token(token) => Some(token.authorization.clone()),
        }
    }

    pub(crate) fn is_none(&self) -> bool {
        matches!(self, Self::None)
    }

    /// Whether it is a token that other requests use, too: it may be older than this call.
    pub(crate) fn is_shared_token(&self) -> bool {
        matches!(self, Self::Token(token) if token.is_shared())
    }

    /// How it authenticates a caller that has a credential.
    pub(crate) fn method(&self) -> AuthMethod {
        match self {
            Self::None => AuthMethod::Anonymous,
            Self::Presented { method, .. } => *method,
            Self::Token(_) => AuthMethod::Bearer,
        }
    }

    /// The probe, if the credential itself is presented.
    pub(crate) fn probe(&self) -> Option<&Probe> {
        match self {
            Self::Presented { probe, .. } => Some(probe),
            Self::None | Self::Token(_) => None,
        }
    }

    /// The same, to report the result.
    pub(crate) fn into_probe(self) -> Option<Probe> {
        match self {
            Self::Presented { probe, .. } => Some(probe),
            Self::None | Self::Token(_) => None,
        }
    }

    /// Reports that the registry accepted the credential.
    pub(crate) fn accept(self) {
        if let Some(probe) = self.into_probe() {
            probe.accept(None);
        }
    }
}

/// A `Basic` header, redacted in `Debug`.
pub(crate) fn basic(username: &str, password: &str) -> HeaderValue {
    let encoded = BASE64_STANDARD.encode(format!("{username}:{password}"));
    // All characters of Base64 are valid in a header.
    let mut header = HeaderValue::try_from(format!("Basic {encoded}"))
        .unwrap_or_else(|_| HeaderValue::from_static("Basic"));
    header.set_sensitive(true);
    header
}
