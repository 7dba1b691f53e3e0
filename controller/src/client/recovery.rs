//! Detects that the API server is available again.
//!
//! A resumed watch may have no event for days, so the response to any request counts.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use futures::{Stream, stream};
use http::{Response, StatusCode};
use tokio::sync::watch;
use tower::BoxError;

/// Whether the API server is available.
#[derive(Debug, Clone)]
pub(crate) struct Recovery(Arc<State>);

#[derive(Debug)]
struct State {
    is_unavailable: AtomicBool,
    recoveries: watch::Sender<()>,
}

/// A request was forbidden that may be permitted.
#[derive(Debug, thiserror::Error)]
#[error("the API server is starting, and forbids everything until it has read its roles")]
struct Starting;

impl Recovery {
    /// The API server counts as available.
    pub(crate) fn new() -> Self {
        Self(Arc::new(State {
            is_unavailable: AtomicBool::new(false),
            recoveries: watch::Sender::new(()),
        }))
    }

    /// Notes the result of a request, and returns it. A starting API server forbids all requests until it has read its roles, and
    /// rejects requests under load: neither is a recovery or a failure. Nor is a status of 500: it may be the failure of a webhook,
    /// for this request only.
    pub(super) fn note<B>(
        &self,
        result: Result<Response<B>, BoxError>,
    ) -> Result<Response<B>, BoxError> {
        let failed = match result.as_ref().map(Response::status) {
            Ok(StatusCode::FORBIDDEN) if self.0.is_unavailable.load(Ordering::Relaxed) => {
                return Err(Starting.into());
            }
            Ok(
                StatusCode::UNAUTHORIZED
                | StatusCode::FORBIDDEN
                | StatusCode::TOO_MANY_REQUESTS
                | StatusCode::INTERNAL_SERVER_ERROR,
            ) => return result,
            Ok(status) => status.is_server_error(),
            Err(_) => true,
        };
        let was_unavailable = self.0.is_unavailable.swap(failed, Ordering::Relaxed);
        if was_unavailable && !failed {
            self.0.recoveries.send_replace(());
        }
        result
    }

    /// Yields after each recovery.
    pub(crate) fn stream(&self) -> impl Stream<Item = ()> + Send + use<> {
        stream::unfold(self.0.recoveries.subscribe(), async |mut recoveries| {
            recoveries.changed().await.ok()?;
            Some(((), recoveries))
        })
    }
}

#[cfg(test)]
mod tests {
    use futures::{FutureExt as _, StreamExt as _};

    use super::*;

    #[tokio::test]
    async fn the_first_response_after_a_failure_is_a_recovery() {
        let recovery = Recovery::new();
        let mut recoveries = std::pin::pin!(recovery.stream());
        let answer = |status: u16| {
            let response = Response::builder().status(status).body(());
            let passed_on = recovery.note(Ok(response.expect("a response")));
            passed_on.map(|response| response.status().as_u16()).ok()
        };
        answer(200);
        assert_eq!(recoveries.next().now_or_never(), None);
        answer(503);
        let refused = recovery.note::<()>(Err("refused".into()));
        assert!(refused.is_err());
        assert_eq!(recoveries.next().now_or_never(), None);
        for not_yet in [401, 403, 429] {
            let passed_on = Some(not_yet).filter(|status| *status != 403);
            assert_eq!(answer(not_yet), passed_on, "it has not read its roles yet");
            assert_eq!(recoveries.next().now_or_never(), None, "{not_yet}");
        }
        answer(404);
        assert_eq!(recoveries.next().now_or_never(), Some(Some(())));
        assert_eq!(answer(403), Some(403));
        answer(200);
        assert_eq!(recoveries.next().now_or_never(), None, "it was available");
        assert_eq!(answer(500), Some(500), "a webhook failed");
        answer(200);
        assert_eq!(recoveries.next().now_or_never(), None, "it was available");
    }
}
