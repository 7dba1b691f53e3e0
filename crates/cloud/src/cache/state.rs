//! What is to be done about a credential: decided without I/O.

use std::time::Duration;

use kube_autorollout_registry::{Credential, Issued, ProviderError};
use tokio::time::Instant;

use crate::{failure::Failure, grant::Grant};

/// How long before its end a credential is fetched anew, at the most. Clouds that keep tokens themselves hand out the
/// same one until then.
const AHEAD: Duration = Duration::from_secs(5 * 60);

/// The same as a part of the life of one that lives shortly.
const AHEAD_PART: u32 = 10;

/// One that registries refuse is replaced no more often than this: where a permission is missing, another one is
/// refused as well.
const REPLACED: Duration = Duration::from_secs(5 * 60);

/// The first wait after a failure; it doubles with each further one.
const FIRST: Duration = Duration::from_secs(30);

/// The longest wait after a refusal of the cloud, which somebody has to do something about.
const LONGEST: Duration = Duration::from_secs(10 * 60);

/// The longest wait after a failure that passes by itself, so that all goes on soon after.
const LONGEST_AWAY: Duration = Duration::from_secs(40);

/// What is known of a credential.
#[derive(Debug, Default)]
pub(super) struct State {
    kept: Option<Kept>,
    failing: Option<Failing>,
    /// When it was last replaced because a registry refused it.
    replaced: Option<Instant>,
}

#[derive(Debug)]
struct Kept {
    grant: Grant,
    refresh: Instant,
    expires: Instant,
}

#[derive(Debug)]
struct Failing {
    failure: Failure,
    /// The next wait after a refusal.
    wait: Duration,
    until: Instant,
}

/// What is to be done.
#[derive(Debug)]
pub(super) enum Next {
    Use(Issued),
    /// It is good, and is to be fetched anew meanwhile.
    UseAndRefresh(Issued),
    /// It was fetched in vain just now.
    Fail(ProviderError),
    Fetch,
}

impl State {
    pub(super) fn next(&self, refused: Option<&Credential>, now: Instant) -> Next {
        let waiting = self.failing.as_ref().filter(|failing| now < failing.until);
        if let Some(kept) = self.kept.as_ref().filter(|kept| now < kept.expires) {
            let issued = kept.issued(now);
            let replaced = self.replaced;
            let replaced_lately = replaced.is_some_and(|at| now.duration_since(at) < REPLACED);
            let is_refused = refused == Some(&kept.grant.credential);
            return match waiting {
                _ if is_refused && replaced_lately => Next::Use(issued),
                Some(failing) if is_refused => Next::Fail(failing.error(now)),
                None if is_refused => Next::Fetch,
                None if now >= kept.refresh => Next::UseAndRefresh(issued),
                _ => Next::Use(issued),
            };
        }
        waiting.map_or(Next::Fetch, |failing| Next::Fail(failing.error(now)))
    }

    /// Returns whether it failed before. `replaces`: it was fetched because a registry refused the one before.
    pub(super) fn succeed(&mut self, grant: Grant, replaces: bool, now: Instant) -> bool {
        let life = grant.expires_in;
        let ahead = AHEAD.min(life / AHEAD_PART);
        self.kept = Some(Kept {
            refresh: now + life.saturating_sub(ahead),
            expires: now + life,
            grant,
        });
        if replaces {
            self.replaced = Some(now);
        }
        self.failing.take().is_some()
    }

    /// Returns whether it is news.
    pub(super) fn fail(&mut self, failure: &Failure, now: Instant) -> (ProviderError, bool) {
        let before = self.failing.take();
        let is_news = before
            .as_ref()
            .is_none_or(|before| before.failure != *failure);
        let wait = before.map_or(FIRST, |before| before.wait);
        let most = if failure.passes {
            LONGEST_AWAY
        } else {
            LONGEST
        };
        let failing = Failing {
            failure: failure.clone(),
            wait: (wait * 2).min(most),
            until: now + wait.min(most),
        };
        let error = failing.error(now);
        self.failing = Some(failing);
        (error, is_news)
    }
}

impl Kept {
    fn issued(&self, now: Instant) -> Issued {
        let left = self.expires.duration_since(now);
        Issued::expiring(self.grant.credential.clone(), left, &*self.grant.identity)
    }
}

impl Failing {
    fn error(&self, now: Instant) -> ProviderError {
        self.failure.to_error(self.until.duration_since(now))
    }
}
