//! The state machine of a cached credential, without I/O.

use std::time::Duration;

use kube_autorollout_registry::{Credential, IssuedCredential, ProviderError};
use tokio::time::Instant;

use crate::{failure::Failure, grant::Grant};

/// How long before expiry a credential is refreshed, at most. Clouds that cache tokens return the same one until then.
const REFRESH_AHEAD: Duration = Duration::from_secs(5 * 60);

/// The same as a fraction of a short lifetime.
const REFRESH_FRACTION: u32 = 10;

/// How often a rejected credential is replaced, at most: if a permission is missing, a new one is rejected as well.
const REPLACE_INTERVAL: Duration = Duration::from_secs(5 * 60);

/// The delay after the first failure; it doubles with each further one.
const INITIAL_BACKOFF: Duration = Duration::from_secs(30);

/// The longest delay after a permanent failure, which somebody has to fix.
const MAX_BACKOFF: Duration = Duration::from_secs(10 * 60);

/// The longest delay after a transient failure, so that recovery is quick.
const MAX_TRANSIENT_BACKOFF: Duration = Duration::from_secs(40);

/// The state of a credential.
#[derive(Debug, Default)]
pub(super) struct State {
    cached: Option<Cached>,
    failing: Option<Failing>,
    /// When it was last replaced because a registry rejected it.
    replaced: Option<Instant>,
}

#[derive(Debug)]
struct Cached {
    grant: Grant,
    refresh: Instant,
    expires: Instant,
}

#[derive(Debug)]
struct Failing {
    failure: Failure,
    /// The delay after the next failure.
    next_delay: Duration,
    until: Instant,
}

/// What the caller has to do.
#[derive(Debug)]
pub(super) enum Action {
    Use(IssuedCredential),
    /// It is valid, but due for a refresh in the background.
    UseAndRefresh(IssuedCredential),
    /// The last fetch failed, and its delay has not passed.
    Fail(ProviderError),
    Fetch,
}

impl State {
    pub(super) fn next(&self, refused: Option<&Credential>, now: Instant) -> Action {
        let waiting = self.failing.as_ref().filter(|failing| now < failing.until);
        let cached = self.cached.as_ref();
        if let Some(cached) = cached.filter(|cached| now < cached.expires) {
            let issued = cached.issued(now);
            let replaced = self.replaced;
            let was_replaced = replaced.is_some_and(|at| now.duration_since(at) < REPLACE_INTERVAL);
            let is_refused = refused == Some(&cached.grant.credential);
            return match waiting {
                _ if is_refused && was_replaced => Action::Use(issued),
                Some(failing) if is_refused => Action::Fail(failing.error(now)),
                None if is_refused => Action::Fetch,
                None if now >= cached.refresh => Action::UseAndRefresh(issued),
                _ => Action::Use(issued),
            };
        }
        waiting.map_or(Action::Fetch, |failing| Action::Fail(failing.error(now)))
    }

    /// Returns whether the previous fetch failed. `replaces`: a registry rejected the previous credential.
    pub(super) fn succeed(&mut self, grant: Grant, replaces: bool, now: Instant) -> bool {
        let lifetime = grant.expires_in;
        let ahead = REFRESH_AHEAD.min(lifetime / REFRESH_FRACTION);
        self.cached = Some(Cached {
            refresh: now + lifetime.saturating_sub(ahead),
            expires: now + lifetime,
            grant,
        });
        if replaces {
            self.replaced = Some(now);
        }
        self.failing.take().is_some()
    }

    /// Returns the error, and whether it differs from the previous one.
    pub(super) fn fail(&mut self, failure: &Failure, now: Instant) -> (ProviderError, bool) {
        let before = self.failing.take();
        let previous = before.as_ref();
        let is_new = previous.is_none_or(|before| before.failure != *failure);
        let delay = previous.map_or(INITIAL_BACKOFF, |before| before.next_delay);
        let max = if failure.is_transient {
            MAX_TRANSIENT_BACKOFF
        } else {
            MAX_BACKOFF
        };
        let failing = Failing {
            failure: failure.clone(),
            next_delay: (delay * 2).min(max),
            until: now + delay.min(max),
        };
        let error = failing.error(now);
        self.failing = Some(failing);
        (error, is_new)
    }
}

impl Cached {
    fn issued(&self, now: Instant) -> IssuedCredential {
        let remaining = self.expires.duration_since(now);
        IssuedCredential::expiring(
            self.grant.credential.clone(),
            remaining,
            &*self.grant.identity,
        )
    }
}

impl Failing {
    fn error(&self, now: Instant) -> ProviderError {
        self.failure.to_error(self.until.duration_since(now))
    }
}
