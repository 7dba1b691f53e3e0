//! What a question carries to authenticate: made from the credential, as the registry's scheme wants it.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use http::HeaderValue;

use crate::{
    credential::{Fingerprint, Secret},
    error::Error,
    exchange::Call,
    fault::Fault,
    negotiation::Sent,
    quarantine::Trial,
    scheme::{Bearer, Scheme},
    session::Session,
    token::{self, Token},
    token_request::TokenFailure,
};

/// What a question carries to authenticate.
pub(crate) enum Proof {
    None,
    Basic(HeaderValue, Trial),
    /// The credential itself.
    Static(HeaderValue, Trial),
    Token {
        token: Token,
        kept: bool,
    },
}

impl Proof {
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

    /// The right under which a credential was presented, if one was.
    pub(crate) fn into_trial(self) -> Option<Trial> {
        match self {
            Self::Basic(_, trial) | Self::Static(_, trial) => Some(trial),
            Self::None | Self::Token { .. } => None,
        }
    }
}

impl Session<'_> {
    /// What the next question carries under a scheme. `stale` is a token that the registry has refused.
    pub(crate) async fn proof(
        &self,
        scheme: Option<&Scheme>,
        stale: Option<Token>,
        call: &mut Call<'_>,
    ) -> Result<Proof, TokenFailure> {
        let (Some(scheme), credential) = (scheme, self.credential) else {
            return Ok(Proof::None);
        };
        let Some(credential) = credential else {
            return match scheme {
                Scheme::Basic => Ok(Proof::None),
                Scheme::Bearer(bearer) => self.token(bearer, stale, call).await,
            };
        };
        match (&*credential.secret, scheme) {
            (Secret::Bearer { token }, _) => {
                let header = token::bearer(token).ok_or_else(|| self.unsendable())?;
                Ok(Proof::Static(
                    header,
                    self.admit(credential.fingerprint()).await?,
                ))
            }
            (_, Scheme::Bearer(bearer)) => self.token(bearer, stale, call).await,
            (Secret::Password { username, password }, Scheme::Basic) => {
                let trial = self.admit(credential.fingerprint()).await?;
                Ok(Proof::Basic(basic(username, password), trial))
            }
            (Secret::Identity { .. }, Scheme::Basic) => {
                let schemes = "basic, with an identity token at hand,".to_owned();
                Err(self.error(Fault::UnsupportedChallenge { schemes }).into())
            }
        }
    }

    async fn token(
        &self,
        bearer: &Bearer,
        stale: Option<Token>,
        call: &mut Call<'_>,
    ) -> Result<Proof, TokenFailure> {
        // Some servers read the first scope only, so the needed one leads.
        let mut scopes = vec![self.target.scope()];
        scopes.extend(bearer.scopes.iter().cloned());
        let token = self.fetch_token(bearer, &scopes, stale.as_ref(), call);
        let (token, kept) = token.await?;
        Ok(Proof::Token { token, kept })
    }

    pub(crate) async fn admit(&self, credential: Fingerprint) -> Result<Trial, Error> {
        self.quarantine
            .admit(&self.host.origin, credential, self.host)
            .await
            .map_err(|fault| self.error(fault))
    }

    fn unsendable(&self) -> Error {
        self.error(Fault::UnsupportedChallenge {
            schemes: "bearer, with a token that no header can carry,".to_owned(),
        })
    }
}

/// A header that says `Basic`, never shown.
pub(crate) fn basic(username: &str, password: &str) -> HeaderValue {
    let encoded = BASE64_STANDARD.encode(format!("{username}:{password}"));
    // Base64 has no letter that a header cannot carry.
    let mut header = HeaderValue::try_from(format!("Basic {encoded}"))
        .unwrap_or_else(|_| HeaderValue::from_static("Basic"));
    header.set_sensitive(true);
    header
}
