//! Tokens of CI jobs: JSON Web Tokens that an `OpenID` Connect issuer signed with RS256 or ES256.
//!
//! There is no I/O here. [`Verifier::check`] returns which document of the issuer is needed, and the caller fetches it:
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
//!             Check::Wait => return Err(TokenError::KeysUnavailable), // no other caller fetches
//!         };
//!         while let Some(fetch) = next {
//!             let body = get(fetch.url());
//!             next = verifier.fetched(&fetch, body.as_deref(), clock().0).unwrap_or(None);
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
    keys::{KeyLookup, Keys},
    token::Token,
};

/// Why a token is rejected. The message repeats nothing of the token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// It is not a signed JSON Web Token, or too long.
    #[error("the token is no JSON Web Token")]
    Form,
    /// It is signed with another algorithm than RS256 and ES256, or not at all.
    #[error("the token is not signed with RS256 or ES256")]
    Algorithm,
    /// It has critical extensions, which are not supported.
    #[error("the token has critical extensions, which are not supported")]
    Critical,
    /// It does not name its key.
    #[error("the token names no key (kid)")]
    NoKey,
    /// It has another issuer, or one that is written differently.
    #[error("the token is from another issuer")]
    Issuer,
    /// The issuer has no such key.
    #[error("the issuer has no key of the token's name for its algorithm")]
    UnknownKey,
    /// Its signature is invalid.
    #[error("the signature of the token is wrong")]
    Signature,
    /// It has another audience.
    #[error("the token is for another audience")]
    Audience,
    /// It has expired, or has no expiry.
    #[error("the token has expired")]
    Expired,
    /// It is not valid yet: one of the clocks is wrong.
    #[error("the token is not valid yet; are both clocks right?")]
    NotYetValid,
    /// A configured claim is missing or differs. Only its name is shown.
    #[error("the token's claim {0} is missing or another one")]
    Claim(String),
    /// The keys of the issuer are not available now.
    #[error("the keys of the issuer cannot be read")]
    KeysUnavailable,
}

impl TokenError {
    /// Whether the token may be accepted later, so that the response is 503 instead of 401.
    pub fn is_temporary(&self) -> bool {
        matches!(self, Self::KeysUnavailable)
    }
}

/// The result of checking a token.
#[derive(Debug, PartialEq, Eq)]
pub enum Check {
    /// The token is valid.
    Accepted(Identity),
    /// A document of the issuer is needed: pass it to [`Verifier::fetched`], then check the token again. Complete the fetch
    /// even if the request that needs it is aborted: for 30 seconds, all others [wait](Self::Wait) for its result.
    Fetch(Fetch),
    /// The document is being fetched: check again when that is done.
    Wait,
}

/// The identity in an accepted token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The claim `sub` for the log, if it has at most 256 characters, all printable.
    pub subject: Option<String>,
}

/// Checks the tokens of one issuer, whose keys it caches for an hour.
#[derive(Debug)]
pub struct Verifier {
    settings: OidcSettings,
    keys: Keys,
}

impl Verifier {
    /// A verifier without keys.
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
    /// [`TokenError`] for the log; the response is 401, or 503 if the error
    /// [is temporary](TokenError::is_temporary).
    pub fn check(
        &mut self,
        token: &str,
        instant: Instant,
        now: Timestamp,
    ) -> Result<Check, TokenError> {
        let token = Token::parse(token)?;
        // Checked before the key, so that tokens of other issuers cause no fetch
        if token.claims.issuer() != Some(&*self.settings.issuer) {
            return Err(TokenError::Issuer);
        }
        let key = match self.keys.look_up(&token, instant) {
            KeyLookup::Found(key) => key,
            KeyLookup::Fetch => return Ok(Check::Fetch(Fetch::discovery(&self.settings.issuer))),
            KeyLookup::Wait => return Ok(Check::Wait),
            KeyLookup::Unknown => return Err(TokenError::UnknownKey),
            KeyLookup::Unavailable => return Err(TokenError::KeysUnavailable),
        };
        if !key.verifies(&token) {
            return Err(TokenError::Signature);
        }
        token.claims.check(&self.settings, now)?;
        Ok(Check::Accepted(token.claims.identity()))
    }

    /// Stores a fetched document: the body of a response with status 200 and at most [`MAX_DOCUMENT`] bytes, or `None` if the
    /// fetch failed. Returns the next document to fetch, if any.
    ///
    /// # Errors
    ///
    /// [`DocumentError`] for the log.
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
