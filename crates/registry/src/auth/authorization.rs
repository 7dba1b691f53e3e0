//! What a request carries to authenticate.

use http::HeaderValue;

use super::{method::AuthMethod, quarantine::Probe, token::Token};

/// What a request carries to authenticate.
pub(crate) enum Authorization {
    None,
    Basic(HeaderValue, Probe),
    /// The credential itself, as a token.
    Static(HeaderValue, Probe),
    Token {
        token: Token,
        kept: bool,
    },
}

impl Authorization {
    pub(crate) fn header(&self) -> Option<HeaderValue> {
        match self {
            Self::None => None,
            Self::Basic(header, _) | Self::Static(header, _) => Some(header.clone()),
            Self::Token { token, .. } => Some(token.authorization.clone()),
        }
    }

    /// Whether it is a token that is older than the call, or that others use, too.
    pub(crate) fn is_replaceable(&self) -> bool {
        matches!(self, Self::Token { token, kept } if *kept || token.is_shared())
    }

    /// How that authenticates a caller with a credential.
    pub(crate) fn method(&self) -> AuthMethod {
        match self {
            Self::None => AuthMethod::Anonymous,
            Self::Basic(..) => AuthMethod::Basic,
            Self::Static(..) | Self::Token { .. } => AuthMethod::Bearer,
        }
    }

    /// The right under which a credential is presented, if one is.
    pub(crate) fn probe(&self) -> Option<&Probe> {
        match self {
            Self::Basic(_, probe) | Self::Static(_, probe) => Some(probe),
            Self::None | Self::Token { .. } => None,
        }
    }

    /// The same, to report what came of it.
    pub(crate) fn into_probe(self) -> Option<Probe> {
        match self {
            Self::Basic(_, probe) | Self::Static(_, probe) => Some(probe),
            Self::None | Self::Token { .. } => None,
        }
    }

    /// The credential is good.
    pub(crate) fn accept(self) {
        if let Some(probe) = self.into_probe() {
            probe.accept();
        }
    }
}
