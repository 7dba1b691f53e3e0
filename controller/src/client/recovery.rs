//! Notices that the API server answers again.
//!
//! A watch that goes on where it was passes nothing on until something happens, perhaps for days, so that the API server is
//! back is seen at the answer to any request.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use futures::{Stream, stream};
use http::{Response, StatusCode};
use tokio::sync::watch;
use tower::BoxError;

/// Whether the API server answers.
#[derive(Debug, Clone)]
pub(crate) struct Recovery(Arc<State>);

#[derive(Debug)]
struct State {
    is_away: AtomicBool,
    recoveries: watch::Sender<()>,
}

/// Why a request was refused that may be permitted.
#[derive(Debug, thiserror::Error)]
#[error("the API server is starting, and forbids everything until it has read its roles")]
struct Starting;

impl Recovery {
    /// It has not failed yet.
    pub(crate) fn new() -> Self {
        Self(Arc::new(State {
            is_away: AtomicBool::new(false),
            recoveries: watch::Sender::new(()),
        }))
    }

    /// Notes what came of a request, and passes it on. An API server that starts forbids everything until it has read its
    /// roles, which says nothing of ours, and what it puts off for its load it has not answered either: that is no recovery,
    /// and no failure.
    pub(super) fn note<B>(
        &self,
        result: Result<Response<B>, BoxError>,
    ) -> Result<Response<B>, BoxError> {
        let failed = match result.as_ref().map(Response::status) {
            Ok(StatusCode::FORBIDDEN) if self.0.is_away.load(Ordering::Relaxed) => {
                return Err(Starting.into());
            }
            Ok(
                StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::TOO_MANY_REQUESTS,
            ) => return result,
            Ok(status) => status.is_server_error(),
            Err(_) => true,
        };
        let was_away = self.0.is_away.swap(failed, Ordering::Relaxed);
        if was_away && !failed {
            self.0.recoveries.send_replace(());
        }
        result
    }

    /// Yields after each time that it did not answer and answers again.
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
    async fn an_answer_after_a_failure_is_a_recovery_and_a_further_one_is_none() {
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
            assert_eq!(answer(not_yet), passed_on, "it does not know its roles yet");
            assert_eq!(recoveries.next().now_or_never(), None, "{not_yet}");
        }
        answer(404);
        assert_eq!(recoveries.next().now_or_never(), Some(Some(())));
        assert_eq!(answer(403), Some(403));
        answer(200);
        assert_eq!(recoveries.next().now_or_never(), None, "it was not away");
    }
}
