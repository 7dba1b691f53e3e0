//! The secrets that senders and a receiver share.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::HeaderValue;
use ring::{hmac, rand::SystemRandom};

use super::signature::Signature;
use crate::sender::Sender;

/// The longest secret, in bytes: headers hold no more.
const LONGEST: usize = 4096;

/// A secret, which is not kept itself: only keys made of it, which compare in constant time. `Debug` shows nothing.
#[derive(Clone)]
pub struct Secret {
    /// For the signatures of senders.
    signing: hmac::Key,
    /// A random key, under which secrets are compared: so that the time says nothing of what they have in common.
    comparing: hmac::Key,
    expected: hmac::Tag,
}

/// Why the content of a file cannot be the secret of a receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidSecret {
    /// There is nothing in it.
    #[error("the secret is empty")]
    Empty,
    /// It is longer than what a header holds.
    #[error("the secret is longer than {LONGEST} bytes")]
    TooLong,
    /// It has characters that no header has.
    #[error("the secret has a line break or another control character, which no header can hold")]
    NotInHeader,
    /// It has characters that would have to be escaped in a path.
    #[error(
        "the secret is part of the path with this type of receiver: use letters, digits, - and _ only, such as those of \
         openssl rand -hex 32"
    )]
    NotInPath,
    /// There is no randomness to compare it under.
    #[error("the system has no randomness")]
    NoRandomness,
}

impl Secret {
    /// Takes the content of a file. One line break at its end is not part of the secret.
    ///
    /// # Errors
    ///
    /// [`InvalidSecret`] for what `sender` cannot send.
    pub fn new(sender: Sender, content: &[u8]) -> Result<Self, InvalidSecret> {
        let content = content.strip_suffix(b"\n").unwrap_or(content);
        let secret = content.strip_suffix(b"\r").unwrap_or(content);
        let is_unreserved = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_".contains(byte);
        if secret.is_empty() {
            return Err(InvalidSecret::Empty);
        }
        if secret.len() > LONGEST {
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

    fn is(&self, presented: &[u8]) -> bool {
        hmac::verify(&self.comparing, presented, self.expected.as_ref()).is_ok()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secret(..)")
    }
}

/// The secrets of a receiver, which are two while one replaces the other.
#[derive(Debug, Clone)]
pub struct Secrets {
    current: Secret,
    previous: Option<Secret>,
}

impl Secrets {
    /// Both are accepted.
    pub fn new(current: Secret, previous: Option<Secret>) -> Self {
        Self { current, previous }
    }

    /// Each is asked, so that the time does not say which one it is.
    fn any(&self, is_right: impl Fn(&Secret) -> bool) -> bool {
        let previous = self.previous.as_ref().is_some_and(&is_right);
        is_right(&self.current) | previous
    }

    pub(super) fn contain(&self, presented: &[u8]) -> bool {
        self.any(|secret| secret.is(presented))
    }

    pub(super) fn signed(&self, body: &[u8], signature: &Signature) -> bool {
        self.any(|secret| hmac::verify(&secret.signing, body, signature.bytes()).is_ok())
    }

    /// Whether the value of `Authorization` is the secret, with `Bearer` before it, or the password of any user.
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
        presented.fold(false, |right, presented| right | self.contain(presented))
    }
}

/// What follows a scheme, which is written in any case
/// (<https://www.rfc-editor.org/rfc/rfc9110#section-11.1>).
pub(super) fn after_scheme<'a>(value: &'a str, scheme: &str) -> Option<&'a str> {
    let (found, rest) = value.split_once(' ')?;
    found
        .eq_ignore_ascii_case(scheme)
        .then(|| rest.trim_start_matches(' '))
}
