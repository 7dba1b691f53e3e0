//! The messages to one sink, one after the other.

use std::sync::Arc;

use kube_autorollout_notifications::{
    Answer, Attempts, Message, Next, Notice, Outbox, Taken, Verdict,
};
use kube_autorollout_registry::TokenClient;
use parking_lot::Mutex;
use tokio::{
    sync::Notify,
    time::{Instant, sleep, sleep_until},
};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::request::Request;
use crate::{
    clock,
    error_chain::Chain,
    metrics::{Metrics, notifications::Outcome},
};

/// What waits for one sink.
pub(super) struct Sending {
    request: Request,
    outbox: Mutex<Outbox>,
    taken: Notify,
    /// Why the last message was not sent, if it was not.
    fault: Mutex<Option<String>>,
}

impl Sending {
    pub(super) fn new(request: Request) -> Self {
        Self {
            outbox: Mutex::new(Outbox::new(Arc::new(request.sink.clone()))),
            request,
            taken: Notify::new(),
            fault: Mutex::default(),
        }
    }

    /// Takes a notice, and drops the oldest message if there are too many.
    pub(super) fn take(&self, notice: &Arc<Notice>, metrics: &Metrics) {
        let taken = self.outbox.lock().take(notice, Instant::now().into_std());
        let name = self.request.name();
        if taken == Taken::Displaced {
            metrics.notifications.ended(name, Outcome::Dropped);
            self.failed("more messages wait than are kept: the oldest was dropped");
        }
        if taken != Taken::Ignored {
            self.taken.notify_one();
        }
    }

    /// Sends message after message, until `closing` is cancelled and nothing is left.
    pub(super) async fn run(
        &self,
        client: &TokenClient,
        metrics: &Metrics,
        closing: &CancellationToken,
    ) {
        let mut closed = false;
        loop {
            if closing.is_cancelled() && !closed {
                closed = true;
                self.outbox.lock().close();
            }
            let next = self.outbox.lock().next(Instant::now().into_std());
            match next {
                Next::Send(message) => {
                    let outcome = self.deliver(&message, client, closing).await;
                    metrics.notifications.ended(self.request.name(), outcome);
                    let pace = self.request.sink.settings().kind.pace();
                    closing.run_until_cancelled(sleep(pace)).await;
                }
                Next::Wait(until) => tokio::select! {
                    () = sleep_until(Instant::from_std(until)) => {}
                    () = self.taken.notified() => {}
                    () = closing.cancelled() => {}
                },
                Next::Idle if closed => return,
                Next::Idle => tokio::select! {
                    () = self.taken.notified() => {}
                    () = closing.cancelled() => {}
                },
            }
        }
    }

    /// Sends one message, again where that may help.
    async fn deliver(
        &self,
        message: &Message,
        client: &TokenClient,
        closing: &CancellationToken,
    ) -> Outcome {
        let body = self.request.body(message);
        let mut attempts = Attempts::default();
        loop {
            let answered = self.request.send(client, &body).await;
            let (answer, fault) = match &answered {
                Ok(response) => (
                    Answer::Status(response.status(), response.header("retry-after")),
                    format!("status {}", response.status()),
                ),
                Err(error) => (Answer::None, Chain(error).to_string()),
            };
            match attempts.answered(answer, clock::now()) {
                Verdict::Sent => {
                    self.sent();
                    return Outcome::Sent;
                }
                Verdict::Retry(wait) => {
                    let sink = self.request.name();
                    debug!(
                        sink,
                        error = fault,
                        "a notification is sent again in {wait:?}"
                    );
                    if closing.run_until_cancelled(sleep(wait)).await.is_some() {
                        continue;
                    }
                }
                Verdict::Failed => {}
            }
            self.failed(&fault);
            return Outcome::Failed;
        }
    }

    /// Logs why a message was not sent, unless the one before failed for the same reason.
    fn failed(&self, fault: &str) {
        let mut last = self.fault.lock();
        if last.as_deref() != Some(fault) {
            let sink = self.request.name();
            warn!(sink, error = fault, "a notification was not sent");
            *last = Some(fault.to_owned());
        }
    }

    fn sent(&self) {
        if self.fault.lock().take().is_some() {
            info!(sink = self.request.name(), "notifications are sent again");
        }
    }
}
