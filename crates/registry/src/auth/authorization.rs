//! What a request carries to authenticate.

use http::HeaderValue;

use super::{method::AuthMethod, quarantine::Probe, step::Sent, token::Token};

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

    /// What of it matters when it is refused.
    pub(crate) fn sent(&self) -> Sent {
        match self {
            Self::None => Sent::Nothing,
            Self::Basic(..) => Sent::Basic,
            Self::Static(..) => Sent::Static,
            Self::Token { token, kept } => Sent::Token {
                replaceable: *kept || token.is_shared(),
            },
        }
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
