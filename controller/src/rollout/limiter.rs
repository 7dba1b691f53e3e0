//! Limits concurrent patches.

use tokio::sync::{Semaphore, SemaphorePermit};

/// Concurrent patches. A busy API server divides its time among all clients, most of which replace the pods of earlier
/// patches: with 16, the last of 500 rollouts began two fifths later (`docs/performance.md`).
const PERMITS: usize = 32;

/// Permits for patches in flight.
#[derive(Debug)]
pub(crate) struct Limiter(Semaphore);

impl Default for Limiter {
    fn default() -> Self {
        Self(Semaphore::new(PERMITS))
    }
}

impl Limiter {
    /// Waits for a permit. A patch without one would do no harm.
    pub(crate) async fn acquire(&self) -> Option<SemaphorePermit<'_>> {
        self.0.acquire().await.ok() // it is never closed
    }

    /// Whether a patch is in flight.
    pub(crate) fn is_in_use(&self) -> bool {
        self.0.available_permits() < PERMITS
    }
}
