//! Notification of requests.

use std::time::Duration;

use crate::error::ErrorKind;

/// The operation of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operation {
    /// A manifest's headers.
    Head,
    /// A manifest.
    Get,
    /// A token.
    Token,
}

impl Operation {
    /// The operation's name, as used in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Head => "head",
            Self::Get => "get",
            Self::Token => "token",
        }
    }
}

/// Is notified of every request. `host` is the registry as the reference names it, even for its token server, so that the
/// set of hosts is bounded.
pub trait Observer: Send + Sync {
    /// An HTTP request ended; a challenge counts as [`ErrorKind::Unauthorized`].
    fn request(
        &self,
        host: &str,
        operation: Operation,
        result: Result<(), ErrorKind>,
        took: Duration,
    );

    /// The registry reported the number of pulls that are left.
    fn rate_limit(&self, host: &str, remaining: u64);

    /// The host gets no requests for this time after a 429; `None`: the backoff ended.
    fn backoff(&self, host: &str, wait: Option<Duration>);
}

/// An observer that does nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoopObserver;

impl Observer for NoopObserver {
    fn request(&self, _: &str, _: Operation, _: Result<(), ErrorKind>, _: Duration) {}
    fn rate_limit(&self, _: &str, _: u64) {}
    fn backoff(&self, _: &str, _: Option<Duration>) {}
}
