//! The keys of an issuer, and when they are fetched.

use std::time::{Duration, Instant};

use super::{key::Key, token::Token};

/// How long keys are used: one that the issuer takes back is accepted no longer.
const LIFE: Duration = Duration::from_secs(60 * 60);

/// How often keys are fetched for a name that they do not have, which everybody can make up.
const UNKNOWN: Duration = Duration::from_secs(60);

/// How often keys are fetched while there are none.
const FAILURE: Duration = Duration::from_secs(10);

/// When a fetch of which nothing was heard counts as given up.
const GIVEN_UP: Duration = Duration::from_secs(30);

/// The most keys that are kept; issuers have two to ten.
const MOST: usize = 100;

/// The keys of an issuer.
#[derive(Debug, Default)]
pub(super) struct Keys {
    kept: Vec<Key>,
    /// When those that are kept were fetched.
    fetched: Option<Instant>,
    /// When the fetch began that has not ended.
    running: Option<Instant>,
    /// When the last fetch began.
    begun: Option<Instant>,
    /// Whether it failed.
    has_failed: bool,
}

pub(super) enum Lookup<'a> {
    Found(&'a Key),
    /// The caller is to fetch them.
    Fetch,
    /// Another one fetches them.
    Wait,
    Unknown,
    Unavailable,
}

impl Keys {
    /// The key that a token names.
    pub(super) fn look_up(&mut self, token: &Token<'_>, now: Instant) -> Lookup<'_> {
        let within = |at: Option<Instant>, span| {
            at.is_some_and(|at| now.saturating_duration_since(at) < span)
        };
        let is_fresh = within(self.fetched, LIFE);
        let found = self.kept.iter().position(|key| key.is_of(token));
        if let Some(key) = found.filter(|_| is_fresh).and_then(|at| self.kept.get(at)) {
            return Lookup::Found(key);
        }
        if within(self.running, GIVEN_UP) {
            return Lookup::Wait;
        }
        if within(self.begun, if is_fresh { UNKNOWN } else { FAILURE }) {
            return if self.has_failed {
                Lookup::Unavailable
            } else {
                Lookup::Unknown
            };
        }
        self.running = Some(now);
        self.begun = Some(now);
        Lookup::Fetch
    }

    pub(super) fn succeed(&mut self, mut keys: Vec<Key>, now: Instant) {
        keys.truncate(MOST);
        self.kept = keys;
        self.fetched = Some(now);
        self.running = None;
        self.has_failed = false;
    }

    /// What is kept is used to its end.
    pub(super) fn fail(&mut self) {
        self.running = None;
        self.has_failed = true;
    }
}
