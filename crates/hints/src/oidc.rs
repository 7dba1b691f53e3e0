//! Tokens of CI jobs: JSON Web Tokens that an `OpenID` Connect issuer signed with RS256 or ES256.
//!
//! Nothing here asks the issuer. [`Verifier::check`] says when its documents are needed, and the caller brings them:
//!
//! ```
//! use std::time::Instant;
//!
//! use jiff::Timestamp;
//! use kube_autorollout_hints::oidc::{Check, OidcSettings, TokenError, Verifier};
//!
//! fn accept(
//!     verifier: &mut Verifier,
//!     token: &str,
//!     get: impl Fn(&str) -> Option<Vec<u8>>,
//!     clock: impl Fn() -> (Instant, Timestamp),
//! ) -> Result<(), TokenError> {
//!     loop {
//!         let (instant, time) = clock();
//!         let mut next = match verifier.check(token, instant, time)? {
//!             Check::Accepted(_) => return Ok(()),
//!             Check::Fetch(fetch) => Some(fetch),
//!             Check::Wait => return Err(TokenError::KeysUnavailable), // here nobody else fetches
//!         };
//!         while let Some(fetch) = next {
//!             let answer = get(fetch.url());
//!             next = verifier.fetched(&fetch, answer.as_deref(), clock().0).unwrap_or(None);
//!         }
//!     }
//! }
//! ```

mod claims;
mod discovery;
mod key;
mod keys;
mod settings;
mod token;

use std::time::Instant;

use jiff::Timestamp;

pub use self::{
    discovery::{DocumentError, Fetch, MAX_DOCUMENT},
    settings::{DEFAULT_AUDIENCE, OidcSettings},
};
use self::{
    keys::{Keys, Lookup},
    token::Token,
};

/// Why a token is not accepted. The text repeats nothing of the token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// It is no signed JSON Web Token, or a very long one.
    #[error("the token is no JSON Web Token")]
    Form,
    /// It is signed with another algorithm than RS256 and ES256, or not at all.
    #[error("the token is not signed with RS256 or ES256")]
    Algorithm,
    /// It demands what we do not know.
    #[error("the token has critical extensions, which are not supported")]
    Critical,
    /// It does not say which key it is signed with.
    #[error("the token names no key (kid)")]
    NoKey,
    /// Another issuer, or another way to write it.
    #[error("the token is from another issuer")]
    Issuer,
    /// The issuer has no such key.
    #[error("the issuer has no key of the token's name for its algorithm")]
    UnknownKey,
    /// It was changed, or signed by another.
    #[error("the signature of the token is wrong")]
    Signature,
    /// It is meant for others.
    #[error("the token is for another audience")]
    Audience,
    /// It is too old, or has no end.
    #[error("the token has expired")]
    Expired,
    /// Its time has not come: one of the clocks is wrong.
    #[error("the token is not valid yet; are both clocks right?")]
    NotYetValid,
    /// A claim that is configured is missing or another one. Only its configured name is shown.
    #[error("the token's claim {0} is missing or another one")]
    Claim(String),
    /// The keys of the issuer cannot be had just now.
    #[error("the keys of the issuer cannot be read")]
    KeysUnavailable,
}

impl TokenError {
    /// Whether the same token may be accepted a little later, so that the answer is 503 and not 401.
    pub fn is_temporary(&self) -> bool {
        matches!(self, Self::KeysUnavailable)
    }
}

/// What is known of a token.
#[derive(Debug, PartialEq, Eq)]
pub enum Check {
    /// It is what was configured.
    Accepted(Identity),
    /// A document of the issuer is needed: [`Verifier::fetched`] takes it, and then the token is checked again.
    Fetch(Fetch),
    /// Another request has begun to fetch the document: check again when it has it.
    Wait,
}

/// Who sent an accepted token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The claim `sub` for the log, if it can be shown: at most 256 printable characters.
    pub subject: Option<String>,
}

/// Checks the tokens of one issuer, whose keys it keeps for an hour.
#[derive(Debug)]
pub struct Verifier {
    settings: OidcSettings,
    keys: Keys,
}

impl Verifier {
    /// A verifier that has no keys yet.
    pub fn new(settings: OidcSettings) -> Self {
        Self {
            settings,
            keys: Keys::default(),
        }
    }

    /// Checks a token.
    ///
    /// # Errors
    ///
    /// [`TokenError`] for the log; the sender is answered with 401, or 503 if it
    /// [is temporary](TokenError::is_temporary).
    pub fn check(
        &mut self,
        token: &str,
        instant: Instant,
        now: Timestamp,
    ) -> Result<Check, TokenError> {
        let token = Token::parse(token)?;
        // Before keys are looked up, so that the tokens of others fetch none
        if token.claims.issuer() != Some(&*self.settings.issuer) {
            return Err(TokenError::Issuer);
        }
        let key = match self.keys.look_up(&token, instant) {
            Lookup::Found(key) => key,
            Lookup::Fetch => return Ok(Check::Fetch(Fetch::discovery(&self.settings.issuer))),
            Lookup::Wait => return Ok(Check::Wait),
            Lookup::Unknown => return Err(TokenError::UnknownKey),
            Lookup::Unavailable => return Err(TokenError::KeysUnavailable),
        };
        if !key.verifies(&token) {
            return Err(TokenError::Signature);
        }
        token.claims.check(&self.settings, now)?;
        Ok(Check::Accepted(token.claims.identity()))
    }

    /// Takes the body of a document with status 200 and at most [`MAX_DOCUMENT`] bytes, or `None` if there was none. Returns
    /// what else must be fetched.
    ///
    /// # Errors
    ///
    /// [`DocumentError`] for the log: of what is wrong with the document.
    pub fn fetched(
        &mut self,
        fetch: &Fetch,
        body: Option<&[u8]>,
        instant: Instant,
    ) -> Result<Option<Fetch>, DocumentError> {
        let read = discovery::read(fetch, body, &self.settings.issuer);
        match read {
            Ok(discovery::Document::Discovery(next)) => Ok(Some(next)),
            Ok(discovery::Document::Keys(keys)) => {
                self.keys.succeed(keys, instant);
                Ok(None)
            }
            Err(error) => {
                self.keys.fail();
                Err(error)
            }
        }
    }
}
