//! Accounts that have used up their pulls. Docker Hub counts pulls for each account, or for each address of those without
//! one: an account that has none left says nothing of the others.

use std::{num::NonZeroUsize, time::Duration};

use lru::LruCache;
use parking_lot::Mutex;
use tokio::time::Instant;

use super::{
    rate_limit::{Backoff, RateLimit},
    request::Account,
    response::Response,
};
use crate::{cache::bounded, error::repr::Repr};

/// Accounts that are remembered.
const MAX_ACCOUNTS: NonZeroUsize = NonZeroUsize::MIN.saturating_add(1023);

/// The accounts of one host that have no pulls left.
pub(crate) struct PullLimits(Mutex<LruCache<Account, Backoff>>);

impl PullLimits {
    /// Whether the account may ask.
    pub(crate) fn check(&self, account: Account) -> Result<(), Repr> {
        let accounts = self.0.lock();
        let backoff = accounts.peek(&account);
        backoff.map_or(Ok(()), |backoff| backoff.check(Instant::now()))
    }

    /// The account has no pulls left; returns for how long it does not ask.
    pub(crate) fn back_off(&self, account: Account, asked: Option<Duration>) -> Duration {
        let mut accounts = self.0.lock();
        let backoff = accounts.get_or_insert_mut(account, Backoff::default);
        backoff.begin(Instant::now(), asked)
    }

    /// The account has pulls again.
    pub(crate) fn answered(&self, account: Account) {
        let mut accounts = self.0.lock();
        let backoff = accounts.peek_mut(&account);
        if backoff.is_some_and(|backoff| backoff.end(Instant::now())) {
            accounts.pop(&account);
        }
    }
}

impl Default for PullLimits {
    fn default() -> Self {
        Self(Mutex::new(bounded(MAX_ACCOUNTS)))
    }
}

/// Whether a 429 is about pulls that are used up, and not about too many requests altogether
/// (<https://docs.docker.com/docker-hub/usage/>).
pub(crate) fn is_pull_limit(response: &Response) -> bool {
    let message = response.error_body.message.as_deref().unwrap_or_default();
    has_no_pulls_left(response) || message.to_ascii_lowercase().contains("pull rate limit")
}

/// Whether a response says that none are left.
pub(crate) fn has_no_pulls_left(response: &Response) -> bool {
    RateLimit::of(&response.headers).is_some_and(|limit| limit.remaining == 0)
}
