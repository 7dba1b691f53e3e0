//! What a question carries to authenticate: made from the credential, as the registry's scheme wants it.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use http::HeaderValue;

use crate::{
    credential::{Fingerprint, Secret},
    error::Error,
    exchange::Call,
    fault::Fault,
    quarantine::Trial,
    scheme::{Bearer, Scheme},
    session::Session,
    token::{self, Token},
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
}

impl Session<'_> {
    /// What the next question carries under a scheme. `stale` is a token that the registry has refused.
    pub(crate) async fn proof(
        &self,
        scheme: Option<&Scheme>,
        stale: Option<Token>,
        call: &mut Call<'_>,
    ) -> Result<Proof, Error> {
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
                Err(self.error(Fault::UnsupportedChallenge {
                    schemes: "basic, with an identity token at hand,".to_owned(),
                }))
            }
        }
    }

    async fn token(
        &self,
        bearer: &Bearer,
        stale: Option<Token>,
        call: &mut Call<'_>,
    ) -> Result<Proof, Error> {
        let (token, kept) = self.fetch_token(bearer, stale.as_ref(), call).await?;
        Ok(Proof::Token { token, kept })
    }

    async fn admit(&self, credential: Fingerprint) -> Result<Trial, Error> {
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
