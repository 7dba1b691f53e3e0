//! Tokens, as token servers issue them.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use http::HeaderValue;
use serde::Deserialize;
use tokio::time::Instant;

use super::scheme::Bearer;
use crate::{credential::Fingerprint, error::repr::Repr};

/// The longest token, in bytes: those of registries have one to four kibibytes, and few servers accept a header of more
/// than eight.
const MAX_BYTES: usize = 16 * 1024;

/// The lifetime of a token that does not state its own, and the shortest that is assumed
/// (<https://distribution.github.io/distribution/spec/auth/token/>, `expires_in`).
const MIN_LIFETIME: Duration = Duration::from_secs(60);

/// The longest lifetime that is assumed.
const MAX_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);

/// The requests that may share a token. A hash, as a registry determines how long its names are.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct TokenKey {
    /// Of the realm, the service and the scopes.
    requested: Fingerprint,
    credential: Option<Fingerprint>,
}

impl TokenKey {
    pub(crate) fn new(bearer: &Bearer, scopes: &[String], credential: Option<Fingerprint>) -> Self {
        let mut scopes: Vec<&str> = scopes.iter().map(String::as_str).collect();
        scopes.sort_unstable();
        let realm = bearer.realm.to_string();
        let server = [&*realm, bearer.service.as_deref().unwrap_or_default()];
        Self {
            requested: Fingerprint::of_parts(server.into_iter().chain(scopes)),
            credential,
        }
    }
}

/// A token, ready to be sent.
#[derive(Clone)]
pub(crate) struct Token {
    pub(crate) authorization: HeaderValue,
    pub(crate) key: TokenKey,
    /// When it is replaced.
    renew_at: Instant,
    /// More than one request has used it.
    shared: Arc<AtomicBool>,
}

impl Token {
    /// Parses a token server's response, received at `now`. The server's clock is not trusted: only `expires_in` counts.
    pub(crate) fn read(key: TokenKey, body: &[u8], now: Instant) -> Result<Self, Repr> {
        #[derive(Deserialize)]
        struct Body {
            token: Option<String>,
            access_token: Option<String>,
            expires_in: Option<serde_json::Value>,
        }
        // The parser's error could quote the token.
        let body: Body = serde_json::from_slice(body).map_err(|_| Repr::MalformedTokenResponse)?;
        let present = |token: Option<String>| token.filter(|token| !token.is_empty());
        let token = present(body.access_token)
            .or_else(|| present(body.token))
            .ok_or(Repr::MalformedTokenResponse)?;
        if token.len() > MAX_BYTES {
            return Err(Repr::TokenTooLong { limit: MAX_BYTES });
        }
        let lifetime = body
            .expires_in
            .as_ref()
            .and_then(seconds)
            .unwrap_or(MIN_LIFETIME);
        let lifetime = lifetime.clamp(MIN_LIFETIME, MAX_LIFETIME);
        let margin = Duration::from_secs(10).min(lifetime / 10);
        Ok(Self {
            authorization: bearer(&token).ok_or(Repr::MalformedTokenResponse)?,
            key,
            renew_at: now + lifetime.saturating_sub(margin),
            shared: Arc::default(),
        })
    }

    /// The same token, for another request.
    pub(crate) fn share(&self) -> Self {
        self.shared.store(true, Ordering::Relaxed);
        self.clone()
    }

    /// Whether more than one request has used it.
    pub(crate) fn is_shared(&self) -> bool {
        self.shared.load(Ordering::Relaxed)
    }

    /// Whether the token may be used.
    pub(crate) fn is_usable(&self, now: Instant) -> bool {
        now < self.renew_at
    }
}

/// A `Bearer` header, redacted in `Debug`; none if the token has characters that are invalid in a header.
pub(crate) fn bearer(token: &str) -> Option<HeaderValue> {
    let mut header = HeaderValue::try_from(format!("Bearer {token}")).ok()?;
    header.set_sensitive(true);
    Some(header)
}

/// Some servers send numbers as strings or with fractions.
fn seconds(value: &serde_json::Value) -> Option<Duration> {
    let seconds = value.as_f64().or_else(|| value.as_str()?.parse().ok())?;
    Duration::try_from_secs_f64(seconds).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(scopes: &[&str]) -> TokenKey {
        let bearer = Bearer {
            realm: "https://auth.example/token".parse().expect("an address"),
            service: None,
            scopes: Vec::new(),
        };
        let scopes: Vec<String> = scopes.iter().map(|scope| (*scope).to_owned()).collect();
        TokenKey::new(&bearer, &scopes, None)
    }

    fn life(body: &str) -> Option<Duration> {
        let now = Instant::now();
        let token = Token::read(key(&[]), body.as_bytes(), now).ok()?;
        Some(token.renew_at.duration_since(now))
    }

    #[test]
    fn a_token_is_renewed_shortly_before_it_expires() {
        let cases = [
            (r#"{"token":"t"}"#, Some(54)),
            (r#"{"token":"t","expires_in":5}"#, Some(54)),
            (r#"{"token":"t","expires_in":60}"#, Some(54)),
            (r#"{"token":"t","expires_in":90}"#, Some(81)),
            (r#"{"token":"t","expires_in":300}"#, Some(290)),
            (r#"{"token":"t","expires_in":"300"}"#, Some(290)),
            (r#"{"token":"t","expires_in":300.0}"#, Some(290)),
            (r#"{"token":"t","expires_in":-1}"#, Some(54)),
            (r#"{"token":"t","expires_in":null}"#, Some(54)),
            (r#"{"token":"t","expires_in":1e300}"#, Some(54)),
            (
                r#"{"token":"t","expires_in":99999999}"#,
                Some(24 * 3600 - 10),
            ),
            (
                r#"{"token":"t","issued_at":"2099-01-01T00:00:00Z","expires_in":300}"#,
                Some(290),
            ),
            (r#"{"token":""}"#, None),
            (r"{}", None),
            (r#"{"token":"line\nbreak"}"#, None),
            ("not json", None),
        ];
        for (body, expected) in cases {
            assert_eq!(life(body), expected.map(Duration::from_secs), "{body}");
        }
    }

    #[test]
    fn an_access_token_is_preferred_and_never_shown() {
        let body = br#"{"token":"planted-a","access_token":"planted-b"}"#;
        let token = Token::read(key(&[]), body, Instant::now()).expect("a token");
        assert_eq!(token.authorization.as_bytes(), b"Bearer planted-b");
        assert!(!format!("{:?}", token.authorization).contains("planted"));
    }

    #[test]
    fn the_key_does_not_depend_on_the_order_of_scopes() {
        assert!(key(&["a", "b"]) == key(&["b", "a"]));
        for other in [&["b"][..], &["a", "b"], &["a", ""], &[]] {
            assert!(key(&["a"]) != key(other), "{other:?}");
        }
    }
}
