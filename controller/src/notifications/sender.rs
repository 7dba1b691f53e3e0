//! Sends the messages of one sink one after the other.

use std::sync::Arc;

use kube_autorollout_notifications::{
    Attempts, Message, Next, Notice, Outbox, PushResult, SinkResponse, Verdict,
};
use kube_autorollout_registry::ExternalClient;
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
    metrics::{Metrics, notifications::DeliveryOutcome},
};

/// The queue of one sink, and its delivery.
pub(super) struct Sender {
    request: Request,
    metrics: Arc<Metrics>,
    outbox: Mutex<Outbox>,
    enqueued: Notify,
    /// The error of the last message, if it was not sent.
    error: Mutex<Option<String>>,
}

impl Sender {
    pub(super) fn new(request: Request, metrics: Arc<Metrics>) -> Self {
        Self {
            outbox: Mutex::new(Outbox::new(Arc::new(request.sink.clone()))),
            request,
            metrics,
            enqueued: Notify::new(),
            error: Mutex::default(),
        }
    }

    /// Enqueues a notice. If the queue is full, the oldest message is dropped.
    pub(super) fn enqueue(&self, notice: &Arc<Notice>) {
        let result = self.outbox.lock().push(notice, Instant::now().into_std());
        if result == PushResult::Displaced {
            self.count(DeliveryOutcome::Dropped);
            self.failed("the queue is full: the oldest message was dropped");
        }
        if result != PushResult::Ignored {
            self.enqueued.notify_one();
        }
    }

    /// Sends messages until `closing` is cancelled and the queue is empty.
    pub(super) async fn run(&self, client: &ExternalClient, closing: &CancellationToken) {
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
                    self.count(outcome);
                    let pace = self.request.sink.settings().kind.pace();
                    closing.run_until_cancelled(sleep(pace)).await;
                }
                Next::Wait(until) => tokio::select! {
                    () = sleep_until(Instant::from_std(until)) => {}
                    () = self.enqueued.notified() => {}
                    () = closing.cancelled() => {}
                },
                Next::Idle if closed => return,
                Next::Idle => tokio::select! {
                    () = self.enqueued.notified() => {}
                    () = closing.cancelled() => {}
                },
            }
        }
    }

    /// Sends one message, with retries.
    async fn deliver(
        &self,
        message: &Message,
        client: &ExternalClient,
        closing: &CancellationToken,
    ) -> DeliveryOutcome {
        let body = self.request.body(message);
        let mut attempts = Attempts::default();
        loop {
            let response = self.request.send(client, &body).await;
            let (received, error) = match &response {
                Ok(response) => (
                    SinkResponse::Status(response.status(), response.header("retry-after")),
                    format!("status {}", response.status()),
                ),
                Err(error) => (SinkResponse::None, Chain(error).to_string()),
            };
            match attempts.evaluate(received, clock::now()) {
                Verdict::Sent => {
                    self.sent();
                    return DeliveryOutcome::Sent;
                }
                Verdict::Retry(wait) => {
                    let sink = self.request.name();
                    debug!(sink, error, "retrying a notification in {wait:?}");
                    if closing.run_until_cancelled(sleep(wait)).await.is_some() {
                        continue;
                    }
                }
                Verdict::Failed => {}
            }
            self.failed(&error);
            return DeliveryOutcome::Failed;
        }
    }

    fn count(&self, outcome: DeliveryOutcome) {
        let name = self.request.name();
        self.metrics.notifications.message(name, outcome);
    }

    /// Logs why a message was not sent, unless the previous one failed with the same error.
    fn failed(&self, error: &str) {
        let mut last = self.error.lock();
        if last.as_deref() != Some(error) {
            let sink = self.request.name();
            warn!(sink, error, "a notification was not sent");
            *last = Some(error.to_owned());
        }
    }

    fn sent(&self) {
        if self.error.lock().take().is_some() {
            info!(sink = self.request.name(), "notifications are sent again");
        }
    }
}
