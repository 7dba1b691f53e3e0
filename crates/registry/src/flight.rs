//! What those learn who wait for somebody who asks the same.

use tokio::time::Instant;

use crate::error::Error;

/// How the last one failed who asked. Kept behind the lock under which one asks for all, so that those who waited do not
/// ask once more each.
pub(crate) struct LastFailure<S> {
    at: Instant,
    /// With what was asked: others may get another answer.
    scope: S,
    error: Error,
}

impl<S: PartialEq> LastFailure<S> {
    pub(crate) fn new(scope: S, error: Error) -> Self {
        let at = Instant::now();
        Self { at, scope, error }
    }

    /// The failure, for somebody who has waited for it since `asked`, with the same `scope`.
    pub(crate) fn since(&self, asked: Instant, scope: &S) -> Option<Error> {
        (self.at >= asked && self.scope == *scope).then(|| self.error.clone())
    }
}
