//! Where refreshes are counted.

use crate::cloud::Cloud;

/// Is notified of every attempt to have a cloud issue a credential.
pub trait RefreshObserver: Send + Sync {
    /// It was issued, or not.
    fn refreshed(&self, cloud: Cloud, issued: bool);
}

/// An observer that does nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoopObserver;

impl RefreshObserver for NoopObserver {
    fn refreshed(&self, _: Cloud, _: bool) {}
}
