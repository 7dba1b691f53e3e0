//! Where requests are counted.

use std::time::Duration;

use crate::error::ErrorKind;

/// What a request was for.
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

/// Is notified of every request. `host` is the registry as references name it, also for requests to its token server, so
/// that no server can add names of its own.
pub trait Observer: Send + Sync {
    /// One HTTP request has ended; a challenge counts as [`ErrorKind::Unauthorized`].
    fn request(
        &self,
        host: &str,
        operation: Operation,
        result: Result<(), ErrorKind>,
        took: Duration,
    );

    /// The registry reported how many pulls are left.
    fn rate_limit(&self, host: &str, remaining: u64);

    /// Nothing is asked of the host for so long; `None`: it answers again.
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
