//! The client of one host: limits the concurrency and duration of requests, and retries them.
//!
//! From the outside in: [`send`](HostClient::send) → [`with_retry`](HostClient::with_retry) →
//! [`with_permit`](HostClient::with_permit) (circuit breaker, rate limit, concurrency) →
//! [`with_timeout`](HostClient::with_timeout) → [`round_trip`](HostClient::round_trip).

use std::{future::Future, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderValue, StatusCode};
use parking_lot::Mutex;
use tokio::time::{Instant, sleep, timeout};

use super::{
    body::{self, BodyBudget},
    call::Call,
    circuit_breakers::{Change, CircuitBreakers, Pass},
    error_body::{self, Secrets},
    permits::Permits,
    pull_limits::{PullLimits, has_no_pulls_left, is_pull_limit},
    rate_limit::{self, Backoff, RateLimit},
    request::{Account, Request},
    response::Response,
    retry::Retry,
    transport::Transport,
};
use crate::{
    error::{Error, ErrorBody, repr::Repr},
    observer::{Observer, Operation},
    origin::Origin,
};

/// The time to read the body of a failure, whose status is what matters.
const ERROR_BODY_TIMEOUT: Duration = Duration::from_secs(5);

/// Shared by the clients of all hosts.
pub(crate) struct Shared {
    pub(crate) user_agent: HeaderValue,
    pub(crate) observer: Arc<dyn Observer>,
    pub(crate) request_timeout: Duration,
    pub(crate) bodies: BodyBudget,
}

/// The client of one host.
pub(crate) struct HostClient {
    pub(crate) origin: Origin,
    shared: Arc<Shared>,
    transport: Transport,
    breakers: CircuitBreakers,
    permits: Permits,
    backoff: Mutex<Backoff>,
    pull_limits: PullLimits,
    /// The state of the layers above, dropped with the host.
    extensions: Mutex<http::Extensions>,
}

impl HostClient {
    pub(crate) fn new(
        origin: Origin,
        transport: Transport,
        max_concurrent_requests: usize,
        shared: Arc<Shared>,
    ) -> Self {
        Self {
            origin,
            shared,
            transport,
            breakers: CircuitBreakers::new(),
            permits: Permits::new(max_concurrent_requests),
            backoff: Mutex::default(),
            pull_limits: PullLimits::default(),
            extensions: Mutex::default(),
        }
    }

    /// The state that a layer above keeps of the host.
    pub(crate) fn extension<T: Default + Clone + Send + Sync + 'static>(&self) -> T {
        let mut extensions = self.extensions.lock();
        extensions.get_or_insert_with(T::default).clone()
    }

    /// An error of this host.
    pub(crate) fn error(&self, repr: Repr) -> Error {
        Error::new(self.origin.to_string(), repr)
    }

    /// Waits in a queue of this host. Fails as soon as its circuit breaker opens.
    pub(crate) async fn queue<T>(&self, wait: impl Future<Output = T>) -> Result<T, Repr> {
        self.breakers.queue(wait).await
    }

    /// Whether the host has responded to any request.
    pub(crate) fn has_responded(&self) -> bool {
        self.breakers.last_response().is_some()
    }

    /// Sends a request, with retries.
    pub(crate) async fn send(
        &self,
        request: &Request,
        call: &mut Call<'_>,
    ) -> Result<Response, Error> {
        let is_token = request.operation == Operation::Token;
        let allowed = self.pull_limits.check(request.account);
        let sent = match allowed {
            Ok(()) => self.with_retry(request, call).await,
            Err(repr) => Err(repr),
        };
        sent.map_err(|repr| {
            self.error(if is_token {
                repr.of_token_server()
            } else {
                repr
            })
        })
    }

    async fn with_retry(&self, request: &Request, call: &mut Call<'_>) -> Result<Response, Repr> {
        let started = Instant::now();
        let mut retry = Retry::new(request);
        let mut last = None;
        loop {
            let result = match self.with_permit(request, call).await {
                // No request was sent: the previous result is more informative.
                Err(Repr::CircuitOpen { .. }) if last.is_some() => break,
                result => result,
            };
            let delay = retry.next(&result, self.breakers.remaining(&request.uri));
            last = Some(result);
            let Some(delay) = delay.filter(|delay| *delay < call.left) else {
                break;
            };
            tracing::debug!(host = %self.origin, operation = request.operation.as_str(), "retrying");
            sleep(delay).await; // without a permit, which others may use meanwhile
            call.spend(delay);
        }
        match last {
            Some(Err(Repr::Timeout { .. })) | None => Err(Repr::Timeout {
                after: started.elapsed(), // of all attempts
            }),
            Some(result) => result,
        }
    }

    async fn with_permit(&self, request: &Request, call: &mut Call<'_>) -> Result<Response, Repr> {
        self.backoff.lock().check(Instant::now())?;
        let acquired = self.permits.acquire(request.operation, &self.breakers);
        let _permit = acquired.await?;
        // A 429 may have arrived during the wait.
        self.backoff.lock().check(Instant::now())?;
        call.count()?;
        let pass = self.breakers.admit(&request.uri)?;
        let started = Instant::now();
        // Boxed, so that callers that wait for a permit do not allocate it.
        let result = Box::pin(self.with_timeout(request, pass, call)).await;
        let took = started.elapsed();
        call.spend(took);
        let result = match result {
            Ok(response) => Ok(self.observe_response(response, request.account, call)),
            Err(Repr::TooLarge { .. }) if request.operation == Operation::Token => {
                Err(Repr::MalformedTokenResponse)
            }
            Err(repr) => Err(repr),
        };
        let kind = match &result {
            Ok(response) => response.kind(request.operation),
            Err(repr) => Err(repr.kind()),
        };
        let observer = &self.shared.observer;
        observer.request(call.registry, request.operation, kind, took);
        result
    }

    async fn with_timeout(
        &self,
        request: &Request,
        pass: Pass<'_>,
        call: &Call<'_>,
    ) -> Result<Response, Repr> {
        let request_timeout = self.shared.request_timeout;
        let limit = request_timeout.min(call.left);
        let result = self.round_trip(request, &pass, limit).await;
        let change = match &result {
            Ok(response) => pass.responded(response.status),
            Err(repr) => pass.failed(repr, limit >= request_timeout / 2),
        };
        if let Some(change) = change {
            self.log(change, &result);
        }
        result
    }

    /// Sends a request and reads the response, for no longer than `limit`.
    async fn round_trip(
        &self,
        request: &Request,
        pass: &Pass<'_>,
        limit: Duration,
    ) -> Result<Response, Repr> {
        let sent = request.to_http(&self.shared.user_agent);
        let secrets = Secrets::of(sent.headers(), request.form.as_ref());
        let started = Instant::now();
        let response = within(limit, limit, self.transport.send(sent)).await?;
        let (head, body) = response.into_parts();
        pass.head_arrived();
        tracing::trace!(host = %self.origin, status = head.status.as_u16(), "response");
        let left = limit.saturating_sub(started.elapsed());
        let (mut content, mut error_body) = (Bytes::new(), ErrorBody::default());
        if head.status.is_success() && request.operation != Operation::Head {
            // This wait is not the server's fault.
            let _memory = self.shared.bodies.acquire(&body, request.max_bytes).await?;
            content = within(limit, left, body::read(body, request.max_bytes)).await?;
        } else if head.status.is_client_error() || head.status.is_server_error() {
            // The status suffices, whether or not the body can be read.
            let read = error_body::read(&head.headers, body, &secrets);
            let read = timeout(left.min(ERROR_BODY_TIMEOUT), read).await;
            error_body = read.unwrap_or_default();
        }
        Ok(Response {
            status: head.status,
            headers: head.headers,
            body: content,
            error_body,
            backoff: None,
            origin: self.origin.clone(),
            uri: request.uri.clone(),
        })
    }

    /// Applies the rate limits in a response, of the host or of the account.
    fn observe_response(
        &self,
        mut response: Response,
        account: Account,
        call: &Call<'_>,
    ) -> Response {
        let observer = &self.shared.observer;
        if let Some(limit) = RateLimit::of(&response.headers) {
            observer.rate_limit(call.registry, limit.remaining);
        }
        let now = Instant::now();
        let limited = response.status == StatusCode::TOO_MANY_REQUESTS;
        let retry_after = rate_limit::retry_after(&response.headers);
        if limited && !is_pull_limit(&response) {
            let wait = self.backoff.lock().start(now, retry_after);
            observer.backoff(call.registry, Some(wait));
            response.backoff = Some(wait);
            return response;
        }
        if limited {
            response.backoff = Some(self.pull_limits.back_off(account, retry_after));
        } else if response.status.is_success() && !has_no_pulls_left(&response) {
            self.pull_limits.reset(account);
        }
        if self.backoff.lock().end(now) {
            observer.backoff(call.registry, None);
        }
        response
    }

    /// Logs that the circuit breaker has opened or closed.
    fn log(&self, change: Change, result: &Result<Response, Repr>) {
        match change {
            Change::Closed => tracing::info!(host = %self.origin, "circuit breaker closed"),
            Change::Opened(wait) => {
                let failure = match result {
                    Ok(response) => Repr::Status(response.status).to_string(),
                    Err(repr) => repr.to_string(),
                };
                let seconds = wait.as_secs();
                tracing::info!(host = %self.origin, seconds, failure, "circuit breaker opened");
            }
        }
    }
}

/// Waits for a part of a response, which has `left` of the whole `limit`.
async fn within<T>(
    limit: Duration,
    left: Duration,
    wait: impl Future<Output = Result<T, Repr>>,
) -> Result<T, Repr> {
    let waited = timeout(left, wait).await;
    waited.unwrap_or(Err(Repr::Timeout { after: limit }))
}
