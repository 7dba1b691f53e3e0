//! How many patches are on their way at once.

use tokio::sync::{Semaphore, SemaphorePermit};

/// A busy API server shares its time among all who ask it, of whom those that replace the pods of earlier patches are
/// most: with 16 at once, the last of five hundred came two fifths later (`docs/performance.md`).
const AT_ONCE: usize = 32;

/// The patches that are on their way to the API server.
#[derive(Debug)]
pub(crate) struct Patches(Semaphore);

impl Default for Patches {
    fn default() -> Self {
        Self(Semaphore::new(AT_ONCE))
    }
}

impl Patches {
    /// Waits until there is room for another, which has it until what is returned is dropped. A patch without it would do
    /// no harm.
    pub(crate) async fn begin(&self) -> Option<SemaphorePermit<'_>> {
        self.0.acquire().await.ok() // it is never closed
    }

    /// Whether one is on its way.
    pub(crate) fn are_under_way(&self) -> bool {
        self.0.available_permits() < AT_ONCE
    }
}
