//! When to retry a request.

use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBackoff, ExponentialBuilder};

use super::{
    rate_limit,
    request::Request,
    response::{Response, is_transient},
};
use crate::error::repr::Repr;

/// Retries after a transient failure. The jitter, up to the delay itself, spreads the retries of many clients.
const RETRIES: ExponentialBuilder = ExponentialBuilder::new()
    .with_min_delay(Duration::from_millis(100))
    .with_factor(2.0)
    .with_max_times(3)
    .with_jitter();

/// A response with a longer `Retry-After` is not retried.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(5);

/// The retries left of a request.
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

    /// The delay before a retry, if one makes sense. `down`: how long the circuit breaker is open.
    pub(crate) fn next(
        &mut self,
        result: &Result<Response, Repr>,
        down: Duration,
    ) -> Option<Duration> {
        if self.is_login && !matches!(result, Err(Repr::Connect(_))) {
            return None;
        }
        let delay = self.delays.next()?;
        match result {
            // A single lost packet can cause a timeout, so it is worth waiting to be the probe.
            Err(Repr::Timeout { .. }) => Some(delay.max(down)),
            _ if !down.is_zero() => None,
            Err(Repr::ConnectTimeout { .. } | Repr::Connect(_) | Repr::Transport(_)) => Some(delay),
            Ok(response) if is_transient(response.status) => {
                let retry_after = rate_limit::retry_after(&response.headers).unwrap_or_default();
                (retry_after <= MAX_RETRY_AFTER).then(|| retry_after.max(delay))
            }
            _ => None,
        }
    }
}
