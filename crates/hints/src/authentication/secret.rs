//! The shared secrets of senders and receivers.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::HeaderValue;
use ring::{hmac, rand::SystemRandom};

use super::signature::Signature;
use crate::sender::Sender;

/// The longest secret, in bytes, that a header can hold.
const MAX_LENGTH: usize = 4096;

/// A secret, redacted in `Debug`. Only keys derived from it are stored, which compare in constant time.
#[derive(Clone)]
pub struct Secret {
    /// Verifies the signatures of senders.
    signing: hmac::Key,
    /// A random key for comparing secrets, so that timing does not reveal a common prefix.
    comparing: hmac::Key,
    expected: hmac::Tag,
}

/// Why a secret is invalid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidSecret {
    /// It is empty.
    #[error("the secret is empty")]
    Empty,
    /// It is too long for a header.
    #[error("the secret is longer than {MAX_LENGTH} bytes")]
    TooLong,
    /// It has characters that are invalid in headers.
    #[error("the secret has a line break or another control character, which no header can hold")]
    NotInHeader,
    /// It has characters that must be escaped in a path.
    #[error(
        "the secret is part of the path with this type of receiver: use letters, digits, - and _ only, such as those of \
         openssl rand -hex 32"
    )]
    NotInPath,
    /// The system has no randomness for the comparison.
    #[error("the system has no randomness")]
    NoRandomness,
}

impl Secret {
    /// Reads the content of a file, without one line break at its end.
    ///
    /// # Errors
    ///
    /// [`InvalidSecret`] for a secret that `sender` cannot send.
    pub fn new(sender: Sender, content: &[u8]) -> Result<Self, InvalidSecret> {
        let content = content.strip_suffix(b"\n").unwrap_or(content);
        let secret = content.strip_suffix(b"\r").unwrap_or(content);
        let is_unreserved = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_".contains(byte);
        if secret.is_empty() {
            return Err(InvalidSecret::Empty);
        }
        if secret.len() > MAX_LENGTH {
            return Err(InvalidSecret::TooLong);
        }
        if HeaderValue::from_bytes(secret).is_err() {
            return Err(InvalidSecret::NotInHeader);
        }
        if sender.has_secret_in_path() && !secret.iter().all(is_unreserved) {
            return Err(InvalidSecret::NotInPath);
        }
        let comparing = hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new());
        let comparing = comparing.map_err(|_| InvalidSecret::NoRandomness)?;
        Ok(Self {
            signing: hmac::Key::new(hmac::HMAC_SHA256, secret),
            expected: hmac::sign(&comparing, secret),
            comparing,
        })
    }

    fn matches(&self, presented: &[u8]) -> bool {
        hmac::verify(&self.comparing, presented, self.expected.as_ref()).is_ok()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secret(..)")
    }
}

/// The secrets of a receiver: two during a rotation.
#[derive(Debug, Clone)]
pub struct Secrets {
    current: Secret,
    previous: Option<Secret>,
}

impl Secrets {
    /// Accepts both secrets.
    pub fn new(current: Secret, previous: Option<Secret>) -> Self {
        Self { current, previous }
    }

    /// Tests both secrets, so that timing does not reveal which one matches.
    fn any(&self, is_match: impl Fn(&Secret) -> bool) -> bool {
        let previous = self.previous.as_ref().is_some_and(&is_match);
        is_match(&self.current) | previous
    }

    pub(super) fn contains(&self, presented: &[u8]) -> bool {
        self.any(|secret| secret.matches(presented))
    }

    pub(super) fn verify(&self, body: &[u8], signature: &Signature) -> bool {
        self.any(|secret| hmac::verify(&secret.signing, body, signature.bytes()).is_ok())
    }

    /// Whether the value of `Authorization` is the secret, alone or as a bearer token, or the password of any user.
    pub(super) fn authorize(&self, value: &[u8]) -> bool {
        let text = str::from_utf8(value).unwrap_or_default();
        let bearer = after_scheme(text, "bearer").map(str::as_bytes);
        let login = after_scheme(text, "basic").and_then(|login| STANDARD.decode(login).ok());
        let login = login.as_deref();
        let colon = login.and_then(|login| login.iter().position(|byte| *byte == b':'));
        let password = login
            .zip(colon)
            .and_then(|(login, colon)| login.get(colon + 1..));
        let presented = [Some(value), bearer, password].into_iter().flatten();
        presented.fold(false, |is_match, presented| {
            is_match | self.contains(presented)
        })
    }
}

/// The credentials after an authentication scheme, which is case-insensitive
/// (<https://www.rfc-editor.org/rfc/rfc9110#section-11.1>).
pub(super) fn after_scheme<'a>(value: &'a str, scheme: &str) -> Option<&'a str> {
    let (name, rest) = value.split_once(' ')?;
    name.eq_ignore_ascii_case(scheme)
        .then(|| rest.trim_start_matches(' '))
}
