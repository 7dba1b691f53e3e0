//! What one call of the client may cost.

use std::time::Duration;

use super::host_config::HostConfigId;
use crate::error::repr::Repr;

/// Requests that one call may cost. One that has to learn everything costs half of them, and each of five credentials a
/// token and a request.
const MAX_REQUESTS: u32 = 20;

/// What one call of the client may cost, and on whose behalf it runs.
pub(crate) struct Call<'a> {
    /// The registry as references name it.
    pub(crate) registry: &'a str,
    pub(crate) config: HostConfigId,
    /// Time that may still be spent on waiting for servers.
    pub(crate) left: Duration,
    /// Requests that may still be sent.
    requests: u32,
}

impl<'a> Call<'a> {
    /// A call that has cost nothing yet; `left` is the time that it may spend on waiting for servers.
    pub(crate) fn new(registry: &'a str, config: HostConfigId, left: Duration) -> Self {
        Self {
            registry,
            config,
            left,
            requests: MAX_REQUESTS,
        }
    }

    /// Counts a request.
    pub(crate) fn count(&mut self) -> Result<(), Repr> {
        let left = self.requests.checked_sub(1);
        self.requests = left.ok_or(Repr::TooManyRequests(MAX_REQUESTS))?;
        Ok(())
    }

    /// Counts time.
    pub(crate) fn spend(&mut self, time: Duration) {
        self.left = self.left.saturating_sub(time);
    }
}
