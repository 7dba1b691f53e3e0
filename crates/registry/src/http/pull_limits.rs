//! Accounts without pulls left. Docker Hub counts pulls by account, or by address without one, so other accounts may have
//! some left.

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
    /// Fails during the backoff of an account.
    pub(crate) fn check(&self, account: Account) -> Result<(), Repr> {
        let accounts = self.0.lock();
        let backoff = accounts.peek(&account);
        backoff.map_or(Ok(()), |backoff| backoff.check(Instant::now()))
    }

    /// The account has no pulls left. Returns its backoff.
    pub(crate) fn back_off(&self, account: Account, retry_after: Option<Duration>) -> Duration {
        let mut accounts = self.0.lock();
        let backoff = accounts.get_or_insert_mut(account, Backoff::default);
        backoff.start(Instant::now(), retry_after)
    }

    /// The account has pulls left.
    pub(crate) fn reset(&self, account: Account) {
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

/// Whether a 429 concerns the pulls of an account, not the requests to the host
/// (<https://docs.docker.com/docker-hub/usage/>).
pub(crate) fn is_pull_limit(response: &Response) -> bool {
    let message = response.error_body.message.as_deref().unwrap_or_default();
    has_no_pulls_left(response) || message.to_ascii_lowercase().contains("pull rate limit")
}

/// Whether a response reports that no pulls are left.
pub(crate) fn has_no_pulls_left(response: &Response) -> bool {
    RateLimit::of(&response.headers).is_some_and(|limit| limit.remaining == 0)
}
