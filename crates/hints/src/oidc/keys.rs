//! The cached keys of an issuer.

use std::time::{Duration, Instant};

use super::{key::Key, token::Token};

/// How long keys are cached, and so how long a withdrawn key is accepted.
const LIFETIME: Duration = Duration::from_secs(60 * 60);

/// The minimum time between fetches for unknown key names, which anybody can make up.
const UNKNOWN_KEY_INTERVAL: Duration = Duration::from_secs(60);

/// The minimum time between fetches while there are no keys.
const RETRY_INTERVAL: Duration = Duration::from_secs(10);

/// When a fetch without a result counts as abandoned.
const FETCH_TIMEOUT: Duration = Duration::from_secs(30);

/// The most cached keys; issuers have two to ten.
const MAX_KEYS: usize = 100;

/// The keys of an issuer.
#[derive(Debug, Default)]
pub(super) struct Keys {
    cached: Vec<Key>,
    /// When the cached keys were fetched.
    fetched: Option<Instant>,
    /// When the fetch in flight began.
    in_flight: Option<Instant>,
    /// When the last fetch began.
    last_fetch: Option<Instant>,
    /// Whether the last fetch failed.
    has_failed: bool,
}

pub(super) enum KeyLookup<'a> {
    Found(&'a Key),
    /// The caller must fetch the keys.
    Fetch,
    /// Another caller is fetching them.
    Wait,
    Unknown,
    Unavailable,
}

impl Keys {
    /// The key that a token names.
    pub(super) fn look_up(&mut self, token: &Token<'_>, now: Instant) -> KeyLookup<'_> {
        let within = |at: Option<Instant>, span| {
            at.is_some_and(|at| now.saturating_duration_since(at) < span)
        };
        let is_fresh = within(self.fetched, LIFETIME);
        let found = self.cached.iter().position(|key| key.matches(token));
        if let Some(key) = found
            .filter(|_| is_fresh)
            .and_then(|at| self.cached.get(at))
        {
            return KeyLookup::Found(key);
        }
        if within(self.in_flight, FETCH_TIMEOUT) {
            return KeyLookup::Wait;
        }
        let interval = if is_fresh {
            UNKNOWN_KEY_INTERVAL
        } else {
            RETRY_INTERVAL
        };
        if within(self.last_fetch, interval) {
            return if self.has_failed {
                KeyLookup::Unavailable
            } else {
                KeyLookup::Unknown
            };
        }
        self.in_flight = Some(now);
        self.last_fetch = Some(now);
        KeyLookup::Fetch
    }

    pub(super) fn succeed(&mut self, mut keys: Vec<Key>, now: Instant) {
        keys.truncate(MAX_KEYS);
        self.cached = keys;
        self.fetched = Some(now);
        self.in_flight = None;
        self.has_failed = false;
    }

    /// Cached keys remain valid until they expire.
    pub(super) fn fail(&mut self) {
        self.in_flight = None;
        self.has_failed = true;
    }
}
