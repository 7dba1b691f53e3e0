//! Accounts that have used up their pulls. Docker Hub counts pulls for each account, or for each address of those without
//! one: who has none left says nothing of the others.

use std::{
    num::NonZeroUsize,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use lru::LruCache;
use tokio::time::Instant;

use crate::{
    bounded::bounded,
    credential::Fingerprint,
    exchange::Answer,
    fault::Fault,
    host::{FIRST_BACKOFF, MAX_BACKOFF},
    rate_limit::RateLimit,
};

/// Accounts that are remembered.
const MAX_ACCOUNTS: NonZeroUsize = NonZeroUsize::MIN.saturating_add(1023);

/// Who asks; none: anybody.
pub(crate) type Account = Option<Fingerprint>;

/// The accounts of one host that have no pulls left.
pub(crate) struct PullLimits(Mutex<LruCache<Account, Backoff>>);

#[derive(Clone, Copy)]
struct Backoff {
    until: Instant,
    /// Refusals, one after the other.
    refusals: u32,
}

impl PullLimits {
    /// Whether the account may ask.
    pub(crate) fn check(&self, account: Account) -> Result<(), Fault> {
        let now = Instant::now();
        match self.accounts().peek(&account) {
            Some(backoff) if now < backoff.until => Err(Fault::RateLimited {
                retry_after: backoff.until.duration_since(now),
            }),
            _ => Ok(()),
        }
    }

    /// The account has no pulls left; returns for how long it does not ask.
    pub(crate) fn back_off(&self, account: Account, asked: Option<Duration>) -> Duration {
        let now = Instant::now();
        let mut accounts = self.accounts();
        let before = accounts.get(&account).copied();
        let under_way = before.filter(|before| now < before.until);
        let refusals = before.map_or(0, |before| before.refusals);
        let own = FIRST_BACKOFF.saturating_mul(1 << refusals.min(16));
        let wait = asked
            .unwrap_or(own)
            .clamp(Duration::from_secs(1), MAX_BACKOFF);
        // Requests that were in flight together are refused for one reason: they count once, and do not shorten the wait.
        let backoff = under_way.unwrap_or_else(|| Backoff {
            until: now,
            refusals: refusals.saturating_add(1),
        });
        let until = backoff.until.max(now + wait);
        accounts.put(account, Backoff { until, ..backoff });
        until.duration_since(now)
    }

    /// The account has pulls again.
    pub(crate) fn answered(&self, account: Account) {
        let now = Instant::now();
        let mut accounts = self.accounts();
        // What was in flight when the back-off began does not end it.
        if accounts
            .peek(&account)
            .is_some_and(|known| known.until <= now)
        {
            accounts.pop(&account);
        }
    }

    fn accounts(&self) -> MutexGuard<'_, LruCache<Account, Backoff>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for PullLimits {
    fn default() -> Self {
        Self(Mutex::new(bounded(MAX_ACCOUNTS)))
    }
}

/// Whether a 429 is about pulls that are used up, and not about too many requests altogether
/// (<https://docs.docker.com/docker-hub/usage/>).
pub(crate) fn is_pull_limit(answer: &Answer) -> bool {
    let message = answer.said.message.as_deref().unwrap_or_default();
    has_no_pulls_left(answer) || message.to_ascii_lowercase().contains("pull rate limit")
}

/// Whether an answer says that none are left.
pub(crate) fn has_no_pulls_left(answer: &Answer) -> bool {
    RateLimit::of(&answer.headers).is_some_and(|limit| limit.remaining == 0)
}
