//! What becomes of a request: it is limited, authenticated and read, in this order, and its images are checked.

use std::{sync::Arc, time::Duration};

use http::{HeaderValue, Method, Request, StatusCode, header, request::Parts};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::{Body as _, Bytes, Incoming};
use kube_autorollout_hints::{
    Authenticated, MAX_BODY, Malformed, Parsed, Route, Sender, handshake,
};
use tokio::{
    sync::Semaphore,
    time::{Instant, timeout},
};
use tracing::{debug, info, warn};

use super::{
    Receivers,
    answer::{Answer, later, line, too_many, unauthorized, with, with_headers},
    checks::{Checks, Outcome},
    issuers::{Issuers, Verdict},
    leader::Leader,
    receivers::Hook,
    report::Report,
    wait::{self, End},
};
use crate::{
    clock,
    error_chain::Chain,
    leader_election::present::Present,
    metrics::{Metrics, hints::Received},
    server::http::text,
};

/// A sender has so long to send the body of its request.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// So many requests wait for workloads at once.
const WAITS: usize = 32;

/// Takes requests to receivers.
pub(crate) struct Pipeline {
    receivers: Receivers,
    issuers: Issuers,
    leader: Leader,
    present: Present<Checks>,
    metrics: Arc<Metrics>,
    waits: Semaphore,
}

impl Pipeline {
    /// Of these receivers. The checks are those of the present term, if there is one.
    pub(crate) fn new(
        receivers: Receivers,
        issuers: Issuers,
        leader: Leader,
        present: Present<Checks>,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self {
            receivers,
            issuers,
            leader,
            present,
            metrics,
            waits: Semaphore::new(WAITS),
        }
    }

    /// Answers a request. What few requests need is in boxes: many can be under way at once.
    pub(super) async fn answer(&self, request: Request<Incoming>) -> Answer {
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
        if let Some(answer) = other_method(&head, hook) {
            return answer;
        }
        if let Err(wait) = hook.limits.lock().admit(Instant::now().into_std()) {
            return self.counted(hook, Received::Limited, too_many(wait));
        }
        let body = match read(body).await {
            Ok(body) => body,
            Err(answer) => return self.counted(hook, Received::Malformed, answer),
        };
        let Some(checks) = self.present.get() else {
            let wait = route.wait.unwrap_or_default();
            return Box::pin(self.leader.answer(&head, body, wait)).await;
        };
        let request = kube_autorollout_hints::Request {
            headers: &head.headers,
            path_secret: route.secret,
            body: &body,
        };
        if let Some(answer) = self.refusal(hook, &request).await {
            return self.counted(hook, Received::Unauthenticated, answer);
        }
        match hook.receiver.read(&request) {
            Ok(parsed) => self.check(hook, &checks, &parsed, route.wait).await,
            Err(error) => {
                if hook.logs_refusal() {
                    warn!(receiver = hook.name(), %error, "a hint cannot be read");
                }
                // One that repeats a request until it is accepted would never send another.
                let repeats = hook.receiver.settings().sender.repeats_until_accepted();
                let status = match error {
                    _ if repeats => StatusCode::ACCEPTED,
                    Malformed::Form | Malformed::NotACloudEvent => {
                        StatusCode::UNSUPPORTED_MEDIA_TYPE
                    }
                    _ => StatusCode::BAD_REQUEST,
                };
                self.counted(hook, Received::Malformed, line(status, &error.to_string()))
            }
        }
    }

    /// What is answered to a sender who is not who it must be, the same whatever the reason is.
    async fn refusal(
        &self,
        hook: &Hook,
        request: &kube_autorollout_hints::Request<'_>,
    ) -> Option<Answer> {
        let refused = |reason: &dyn std::fmt::Display| {
            if hook.logs_refusal() {
                warn!(receiver = hook.name(), %reason, "a hint is not authenticated");
            }
            hook.limits.lock().fail(Instant::now().into_std());
            Some(unauthorized())
        };
        let secrets = match hook.secrets() {
            Ok(secrets) => secrets,
            Err(error) => {
                if hook.logs_refusal() {
                    let error = Chain(&error);
                    warn!(receiver = hook.name(), %error, "no hint can be authenticated");
                }
                return Some(later("the receiver has no secret now"));
            }
        };
        match hook.receiver.authenticate(secrets.as_ref(), request) {
            Ok(Authenticated::Secret) => None,
            Ok(Authenticated::Token(token)) => {
                match Box::pin(self.issuers.verify(hook, token)).await {
                    Verdict::Accepted => None,
                    Verdict::Refused(error) => refused(&error),
                    Verdict::Unavailable => Some(later("the keys of the issuer cannot be fetched")),
                }
            }
            Err(error) => refused(&error),
        }
    }

    async fn check(
        &self,
        hook: &Hook,
        checks: &Arc<Checks>,
        parsed: &Parsed,
        wait: Option<Duration>,
    ) -> Answer {
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
                .received(hook.name(), Received::Ignored, *count);
        }
        if parsed.is_ping() {
            return line(StatusCode::OK, "pong");
        }
        for hint in &parsed.hints {
            let outcome = checks.hint(hint);
            info!(
                receiver = hook.name(),
                image = %format_args!("{}/{}", hint.registry, hint.repository),
                outcome = Received::from(outcome).as_str(),
                "hint",
            );
            self.metrics.hints.received(hook.name(), outcome.into(), 1);
        }
        let Some(longest) = wait else {
            // The same whatever runs here.
            return line(StatusCode::ACCEPTED, "accepted");
        };
        let Ok(_permit) = self.waits.try_acquire() else {
            return later("too many requests wait now");
        };
        waited(Box::pin(wait::wait(checks, &parsed.hints, since, longest)).await)
    }

    fn counted(&self, hook: &Hook, outcome: Received, answer: Answer) -> Answer {
        self.metrics.hints.received(hook.name(), outcome, 1);
        answer
    }
}

impl From<Outcome> for Received {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Checked => Self::Checked,
            Outcome::Coalesced => Self::Coalesced,
            Outcome::UnknownImage => Self::UnknownImage,
        }
    }
}

/// What is answered to other methods than POST.
fn other_method(head: &Parts, hook: &Hook) -> Option<Answer> {
    if head.method == Method::POST {
        return None;
    }
    let settings = hook.receiver.settings();
    let per_minute = settings.rate.per_second.get().saturating_mul(60);
    let is_handshake = head.method == Method::OPTIONS && settings.sender == Sender::Cloudevents;
    let granted = is_handshake.then(|| handshake(&head.headers, per_minute));
    Some(match granted.flatten() {
        Some(headers) => with_headers(text(StatusCode::OK, ""), headers),
        None => with(
            line(StatusCode::METHOD_NOT_ALLOWED, "hints are sent with POST"),
            header::ALLOW,
            HeaderValue::from_static("POST"),
        ),
    })
}

/// Reads a body, which must come in time and not be too long.
async fn read(body: Incoming) -> Result<Bytes, Answer> {
    let most = u64::try_from(MAX_BODY).unwrap_or(u64::MAX);
    let too_long = || line(StatusCode::PAYLOAD_TOO_LARGE, "a hint has at most 1 MiB");
    if body.size_hint().lower() > most {
        return Err(too_long());
    }
    let read = timeout(BODY_TIMEOUT, Limited::new(body, MAX_BODY).collect()).await;
    match read {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => Err(too_long()),
        Ok(Err(_)) => Err(line(StatusCode::BAD_REQUEST, "the body ended early")),
        Err(_) => Err(line(
            StatusCode::REQUEST_TIMEOUT,
            "the body did not come in time",
        )),
    }
}

/// What became of the workloads, as JSON: one object for one image.
fn waited((end, reports): (End, Vec<Report>)) -> Answer {
    let status = match end {
        End::Done => StatusCode::OK,
        End::Failed => StatusCode::CONFLICT,
        End::TimedOut => StatusCode::GATEWAY_TIMEOUT,
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
