//! How many patches are on their way at once.

use tokio::sync::{Semaphore, SemaphorePermit};

/// A busy API server shares its time among all who ask it, of whom those that replace the pods of earlier patches are
/// most: with 16 at once, the last of five hundred came two fifths later (`docs/performance.md`).
const AT_ONCE: usize = 32;

/// Permits for patches on their way to the API server.
#[derive(Debug)]
pub(crate) struct Limiter(Semaphore);

impl Default for Limiter {
    fn default() -> Self {
        Self(Semaphore::new(AT_ONCE))
    }
}

impl Limiter {
    /// Waits for a permit to send another. A patch without one would do no harm.
    pub(crate) async fn acquire(&self) -> Option<SemaphorePermit<'_>> {
        self.0.acquire().await.ok() // it is never closed
    }

    /// Whether one is on its way.
    pub(crate) fn is_in_use(&self) -> bool {
        self.0.available_permits() < AT_ONCE
    }
}
