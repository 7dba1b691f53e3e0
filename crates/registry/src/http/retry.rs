//! Whether a request is sent again, and when.

use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBackoff, ExponentialBuilder};

use super::{
    rate_limit,
    request::Request,
    response::{Response, is_transient},
};
use crate::error::repr::Repr;

/// Further attempts after a failure that may pass, and the least wait before the first of them. It doubles, and up to as
/// much again comes on top of each, so that many clients do not come back in one instant.
const RETRIES: ExponentialBuilder = ExponentialBuilder::new()
    .with_min_delay(Duration::from_millis(100))
    .with_factor(2.0)
    .with_max_times(3)
    .with_jitter();

/// A server that asks for a longer wait than this is not waited for.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(5);

/// The attempts that are left of a request.
pub(crate) struct Retry {
    delays: ExponentialBackoff,
    is_login: bool,
}

impl Retry {
    pub(crate) fn new(request: &Request) -> Self {
        Self {
            delays: RETRIES.build(),
            is_login: request.is_login(),
        }
    }

    /// How long to wait before another attempt, if one makes sense. `down` is how long nobody may ask.
    pub(crate) fn next(
        &mut self,
        result: &Result<Response, Repr>,
        down: Duration,
    ) -> Option<Duration> {
        if self.is_login && !matches!(result, Err(Repr::Connect(_))) {
            return None;
        }
        let own = self.delays.next()?;
        match result {
            // One lost packet costs a whole time-out, so that it is worth waiting to be the first request.
            Err(Repr::Timeout { .. }) => Some(own.max(down)),
            _ if !down.is_zero() => None,
            Err(Repr::ConnectTimeout { .. } | Repr::Connect(_) | Repr::Transport(_)) => Some(own),
            Ok(response) if is_transient(response.status) => {
                let asked = rate_limit::retry_after(&response.headers).unwrap_or_default();
                (asked <= MAX_RETRY_AFTER).then(|| asked.max(own))
            }
            _ => None,
        }
    }
}
