//! The budget of one call of the client.

use std::time::Duration;

use crate::error::repr::Repr;

/// Requests that one call may send. A first call to a registry needs half of them, and each of five credentials a token
/// and a request.
const MAX_REQUESTS: u32 = 20;

/// The index of a host's options in the configuration, if it has any.
pub(crate) type HostConfigId = Option<usize>;

/// The budget of one call, and the registry that it is for.
pub(crate) struct Call<'a> {
    /// The registry as the reference names it.
    pub(crate) registry: &'a str,
    pub(crate) config: HostConfigId,
    /// The time left to wait for servers.
    pub(crate) left: Duration,
    /// The requests left.
    requests: u32,
}

impl<'a> Call<'a> {
    /// A new call that may wait `left` for servers.
    pub(crate) fn new(registry: &'a str, config: HostConfigId, left: Duration) -> Self {
        Self {
            registry,
            config,
            left,
            requests: MAX_REQUESTS,
        }
    }

    /// Counts a request. Fails when none is left.
    pub(crate) fn count(&mut self) -> Result<(), Repr> {
        let left = self.requests.checked_sub(1);
        self.requests = left.ok_or(Repr::TooManyRequests(MAX_REQUESTS))?;
        Ok(())
    }

    /// Counts the time that was spent.
    pub(crate) fn spend(&mut self, time: Duration) {
        self.left = self.left.saturating_sub(time);
    }
}
