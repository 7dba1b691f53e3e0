//! Observation of refreshed credentials, for metrics.

use crate::cloud::Cloud;

/// Observes attempts to refresh credentials.
pub trait RefreshObserver: Send + Sync {
    /// Called after each attempt, with whether a credential was `issued`.
    fn refreshed(&self, cloud: Cloud, issued: bool);
}

/// An observer that does nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoopObserver;

impl RefreshObserver for NoopObserver {
    fn refreshed(&self, _: Cloud, _: bool) {}
}
