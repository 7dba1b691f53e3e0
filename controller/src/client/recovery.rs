//! Notices that the API server answers again.
//!
//! A watch that goes on where it was passes nothing on until something happens, perhaps for days, so that the API server is
//! back is seen at the answer to any request.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use futures::{Stream, stream};
use http::Response;
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

impl Recovery {
    /// It has not failed yet.
    pub(crate) fn new() -> Self {
        Self(Arc::new(State {
            is_away: AtomicBool::new(false),
            recoveries: watch::Sender::new(()),
        }))
    }

    /// Notes what came of a request.
    pub(super) fn note<B>(&self, result: &Result<Response<B>, BoxError>) {
        let failed = match result {
            Ok(response) => response.status().is_server_error(),
            Err(_) => true,
        };
        let was_away = self.0.is_away.swap(failed, Ordering::Relaxed);
        if was_away && !failed {
            self.0.recoveries.send_replace(());
        }
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
            recovery.note(&Ok(Response::builder()
                .status(status)
                .body(())
                .expect("a response")));
        };
        answer(200);
        assert_eq!(recoveries.next().now_or_never(), None);
        answer(503);
        recovery.note::<()>(&Err("refused".into()));
        assert_eq!(recoveries.next().now_or_never(), None);
        answer(404);
        assert_eq!(recoveries.next().now_or_never(), Some(Some(())));
        answer(200);
        assert_eq!(recoveries.next().now_or_never(), None);
    }
}
