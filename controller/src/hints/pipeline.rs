//! Handles a request for a receiver: applies the rate limit, authenticates and parses it, and checks its images.

use std::{sync::Arc, time::Duration};

use http::{HeaderValue, Method, Request, StatusCode, header, request::Parts};
use hyper::body::{Body, Bytes};
use kube_autorollout_hints::{Authenticated, Malformed, Parsed, Route, Sender, handshake};
use tokio::{sync::Semaphore, time::Instant};
use tracing::{debug, info, warn};

use super::{
    Receivers, Report,
    body::{BodyBudget, BodyError},
    checks::Checks,
    forwarder::Forwarder,
    issuers::{Issuers, TokenVerdict},
    receivers::ReceiverState,
    response::{Response, line, too_many, unauthorized, unavailable, with},
    wait::{self, WaitResult},
};
use crate::{
    clock,
    error_chain::Chain,
    leader_election::term_scoped::TermScoped,
    metrics::{Metrics, hints::HintOutcome},
    server::admin::text,
};

/// Concurrent requests that wait for workloads.
const WAITS: usize = 32;

/// Handles requests for receivers.
pub(crate) struct Pipeline {
    receivers: Receivers,
    issuers: Issuers,
    forwarder: Forwarder,
    checks: TermScoped<Checks>,
    metrics: Arc<Metrics>,
    bodies: BodyBudget,
    waits: Semaphore,
}

impl Pipeline {
    /// A pipeline for these receivers. `checks` is set while this replica leads.
    pub(crate) fn new(
        receivers: Receivers,
        issuers: Issuers,
        forwarder: Forwarder,
        checks: TermScoped<Checks>,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self {
            receivers,
            issuers,
            forwarder,
            checks,
            metrics,
            bodies: BodyBudget::new(),
            waits: Semaphore::new(WAITS),
        }
    }

    /// Responds to a request. The futures of rare cases are boxed, as many requests can be in flight.
    pub(super) async fn respond(
        &self,
        request: Request<impl Body<Data = Bytes> + Unpin>,
    ) -> Response {
        let (head, body) = request.into_parts();
        let uri = head.uri.clone();
        let route = match Route::parse(uri.path(), uri.query()) {
            Some(Ok(route)) => route,
            Some(Err(error)) => return line(StatusCode::BAD_REQUEST, &error.to_string()),
            None => return line(StatusCode::NOT_FOUND, "send hints to /hooks/<receiver>"),
        };
        let Some(hook) = self.receivers.get(route.receiver) else {
            return line(StatusCode::NOT_FOUND, "there is no such receiver");
        };
        if let Some(response) = other_method(&head, hook) {
            return response;
        }
        if let Err(wait) = hook.limits.lock().admit(Instant::now().into_std()) {
            return self.counted(hook, HintOutcome::Limited, too_many(wait));
        }
        let body = match self.bodies.read(body).await {
            Ok(body) => body,
            Err(error) => return self.unread(hook, error),
        };
        let Some(checks) = self.checks.get() else {
            let wait = route.wait.unwrap_or_default();
            return Box::pin(self.forwarder.forward(&head, body, wait)).await;
        };
        let request = kube_autorollout_hints::Request {
            headers: &head.headers,
            path_secret: route.secret,
            body: &body,
        };
        if let Some(response) = self.refusal(hook, &request).await {
            return self.counted(hook, HintOutcome::Unauthenticated, response);
        }
        let parsed = hook.receiver.read(&request);
        drop(body); // before a wait, which may take minutes
        match parsed {
            Ok(parsed) => self.check(hook, &checks, &parsed, route.wait).await,
            Err(error) => self.malformed(hook, error),
        }
    }

    /// The response to a request whose body was not read.
    fn unread(&self, hook: &ReceiverState, error: BodyError) -> Response {
        let response = match error {
            BodyError::NoBudget => {
                let response = unavailable("too many large requests are being read");
                return self.counted(hook, HintOutcome::Limited, response);
            }
            BodyError::TooLong => line(StatusCode::PAYLOAD_TOO_LARGE, "a hint has at most 1 MiB"),
            BodyError::Incomplete => line(StatusCode::BAD_REQUEST, "the body ended early"),
            BodyError::Timeout => {
                line(StatusCode::REQUEST_TIMEOUT, "the body was not sent in time")
            }
        };
        self.counted(hook, HintOutcome::Malformed, response)
    }

    /// The response to an authenticated request that cannot be parsed.
    fn malformed(&self, hook: &ReceiverState, error: Malformed) -> Response {
        if hook.logs_refusal() {
            warn!(receiver = hook.name(), %error, "malformed hint");
        }
        // A sender that repeats a request until it is accepted would never send the next.
        let repeats = hook.receiver.settings().sender.repeats_until_accepted();
        let status = match error {
            _ if repeats => StatusCode::ACCEPTED,
            Malformed::Form | Malformed::NotACloudEvent => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            _ => StatusCode::BAD_REQUEST,
        };
        self.counted(
            hook,
            HintOutcome::Malformed,
            line(status, &error.to_string()),
        )
    }

    /// The response to a sender that is not authenticated; it does not disclose the reason.
    async fn refusal(
        &self,
        hook: &Arc<ReceiverState>,
        request: &kube_autorollout_hints::Request<'_>,
    ) -> Option<Response> {
        let refused = |reason: &dyn std::fmt::Display| {
            if hook.logs_refusal() {
                warn!(receiver = hook.name(), %reason, "unauthenticated hint");
            }
            hook.limits.lock().fail(Instant::now().into_std());
            Some(unauthorized())
        };
        let secrets = match hook.secrets() {
            Ok(secrets) => secrets,
            Err(error) => {
                if hook.logs_refusal() {
                    let error = Chain(&error);
                    warn!(receiver = hook.name(), %error, "cannot authenticate hints");
                }
                return Some(unavailable("the receiver has no secret now"));
            }
        };
        match hook.receiver.authenticate(secrets.as_ref(), request) {
            Ok(Authenticated::Secret) => None,
            Ok(Authenticated::Token(token)) => {
                match Box::pin(self.issuers.verify(hook, token)).await {
                    TokenVerdict::Accepted => None,
                    TokenVerdict::Refused(error) => refused(&error),
                    TokenVerdict::Unavailable => {
                        Some(unavailable("the keys of the issuer cannot be fetched"))
                    }
                }
            }
            Err(error) => refused(&error),
        }
    }

    async fn check(
        &self,
        hook: &ReceiverState,
        checks: &Arc<Checks>,
        parsed: &Parsed,
        wait: Option<Duration>,
    ) -> Response {
        if wait.is_some() && !hook.receiver.settings().may_wait {
            return line(StatusCode::BAD_REQUEST, "this receiver may not wait");
        }
        let since = clock::now();
        for (reason, count) in &parsed.ignored {
            debug!(
                receiver = hook.name(),
                reason = reason.as_str(),
                count,
                "no hint"
            );
            self.metrics
                .hints
                .received(hook.name(), HintOutcome::Ignored, *count);
        }
        if parsed.is_ping() {
            return line(StatusCode::OK, "pong");
        }
        for hint in &parsed.hints {
            let outcome = checks.hint(hint);
            info!(
                receiver = hook.name(),
                image = %format_args!("{}/{}", hint.registry, hint.repository),
                outcome = outcome.as_str(),
                "hint",
            );
            self.metrics.hints.received(hook.name(), outcome, 1);
        }
        let Some(max_wait) = wait else {
            // The response does not disclose which images run here.
            return line(StatusCode::ACCEPTED, "accepted");
        };
        let Ok(_permit) = self.waits.try_acquire() else {
            return unavailable("too many requests are waiting");
        };
        waited(Box::pin(wait::wait(checks, &parsed.hints, since, max_wait)).await)
    }

    fn counted(&self, hook: &ReceiverState, outcome: HintOutcome, response: Response) -> Response {
        self.metrics.hints.received(hook.name(), outcome, 1);
        response
    }
}

/// The response to a method other than POST.
fn other_method(head: &Parts, hook: &ReceiverState) -> Option<Response> {
    if head.method == Method::POST {
        return None;
    }
    let settings = hook.receiver.settings();
    let per_minute = settings.rate.per_second.get().saturating_mul(60);
    let is_handshake = head.method == Method::OPTIONS && settings.sender == Sender::Cloudevents;
    let granted = is_handshake.then(|| handshake(&head.headers, per_minute));
    Some(match granted.flatten() {
        Some(headers) => {
            let mut response = text(StatusCode::OK, "");
            response.headers_mut().extend(headers);
            response
        }
        None => with(
            line(StatusCode::METHOD_NOT_ALLOWED, "hints are sent with POST"),
            header::ALLOW,
            HeaderValue::from_static("POST"),
        ),
    })
}

/// The response to a sender that waited: a JSON object for one image, or an array.
fn waited((result, reports): (WaitResult, Vec<Report>)) -> Response {
    let status = match result {
        WaitResult::Completed => StatusCode::OK,
        WaitResult::Failed => StatusCode::CONFLICT,
        WaitResult::TimedOut => StatusCode::GATEWAY_TIMEOUT,
        WaitResult::Interrupted => return unavailable("this replica no longer leads"),
    };
    let body = match reports.as_slice() {
        [report] => serde_json::to_string(report),
        reports => serde_json::to_string(reports),
    };
    with(
        text(status, body.unwrap_or_default()),
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    )
}

#[cfg(test)]
mod tests;
