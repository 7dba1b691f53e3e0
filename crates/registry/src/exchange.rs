//! One question and its answer: waiting for a turn, time-outs, size limits, retries and redirects.

use std::{future::Future, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Method, Request, StatusCode, Uri,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, IF_NONE_MATCH, LOCATION, USER_AGENT},
};
use http_body_util::Full;
use tokio::time::{Instant, sleep, timeout};

use crate::{
    body,
    circuit::{Change, Pass},
    error::{Error, ErrorKind},
    error_body::{ErrorBody, Secrets},
    fault::Fault,
    host::Host,
    manifest,
    observer::Operation,
    place,
    pull_limits::{Account, has_no_pulls_left, is_pull_limit},
    rate_limit::{self, RateLimit},
    retry,
    target::Origin,
    transport::{RuleIndex, Transport},
};

/// Redirects that are followed in a row.
const MAX_REDIRECTS: usize = 5;

/// The largest answer of a token server, in bytes.
const MAX_TOKEN_BYTES: usize = 64 * 1024;

/// For the body of a failure, of which the status is what matters.
const ERROR_BODY_TIMEOUT: Duration = Duration::from_secs(5);

/// Requests that one call may cost. One that has to learn everything costs half of them, and each of five credentials a
/// token and a question.
const MAX_REQUESTS: u32 = 20;

/// What is asked.
#[derive(Clone)]
pub(crate) struct Question {
    pub(crate) operation: Operation,
    pub(crate) uri: Uri,
    pub(crate) authorization: Option<HeaderValue>,
    /// What takes its place at another origin, if the host redirects to there.
    pub(crate) onward: Option<(Origin, HeaderValue)>,
    /// On whose account.
    pub(crate) account: Account,
    /// The entity tag of what is known already.
    pub(crate) unless: Option<HeaderValue>,
    /// Fields of a form, sent by POST.
    pub(crate) form: Option<Bytes>,
}

/// What was answered, by whom.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    /// Empty unless the status is a success.
    pub(crate) body: Bytes,
    /// What a failure's body says.
    pub(crate) said: ErrorBody,
    /// How long the host is left alone after this answer, a 429.
    pub(crate) backoff: Option<Duration>,
    pub(crate) host: Arc<Host>,
    pub(crate) uri: Uri,
}

/// What one call of the client may cost, and on whose behalf it runs.
pub(crate) struct Call<'a> {
    /// The registry as references name it.
    pub(crate) registry: &'a str,
    pub(crate) rule: RuleIndex,
    /// Time that may still be spent on waiting for servers.
    left: Duration,
    /// Requests that may still be sent.
    requests: u32,
}

impl<'a> Call<'a> {
    /// A call that has cost nothing yet; `left` is the time that it may spend on waiting for servers.
    pub(crate) fn new(registry: &'a str, rule: RuleIndex, left: Duration) -> Self {
        Self {
            registry,
            rule,
            left,
            requests: MAX_REQUESTS,
        }
    }

    fn count(&mut self) -> Result<(), Fault> {
        let left = self.requests.checked_sub(1);
        self.requests = left.ok_or(Fault::TooManyRequests(MAX_REQUESTS))?;
        Ok(())
    }
}

impl Transport {
    /// Asks a host and follows its redirects. `Authorization` stays with the origin that it was meant for.
    pub(crate) async fn ask(
        &self,
        host: &Arc<Host>,
        mut question: Question,
        call: &mut Call<'_>,
    ) -> Result<Answer, Error> {
        let mut at = Arc::clone(host);
        for _ in 0..=MAX_REDIRECTS {
            let answer = self.ask_once(&at, &question, call).await?;
            if let Some(retry_after) = answer.backoff {
                return Err(Error::answered(&answer, Fault::RateLimited { retry_after }));
            }
            if !is_redirect(answer.status) {
                return Ok(answer);
            }
            let refused = |fault| Error::new(at.origin.to_string(), fault);
            let next = target(&answer, &question).map_err(refused)?;
            let origin = place::check(&next, &host.origin).map_err(refused)?;
            if origin != at.origin {
                question.account = None; // nobody's there
                let onward = question.onward.take();
                question.authorization = onward
                    .filter(|(meant, _)| *meant == origin)
                    .map(|(_, header)| header);
                at = self.named(host, &origin, call.rule);
            }
            question.uri = next;
        }
        Err(Error::new(
            at.origin.to_string(),
            Fault::RedirectRefused {
                place: at.origin.to_string(),
                reason: "too many redirects in a row",
            },
        ))
    }

    /// Asks a host, and again where a failure may pass.
    async fn ask_once(
        &self,
        host: &Arc<Host>,
        question: &Question,
        call: &mut Call<'_>,
    ) -> Result<Answer, Error> {
        let error = |fault: Fault| {
            let is_token = question.operation == Operation::Token;
            let fault = if is_token {
                fault.of_token_server()
            } else {
                fault
            };
            Error::new(host.origin.to_string(), fault)
        };
        host.pull_limits.check(question.account).map_err(error)?;
        let begun = Instant::now();
        let mut last = None;
        for attempt in 0.. {
            let result = match self.attempt(host, question, call).await {
                // Nothing was asked: what was answered before tells more.
                Err(Fault::Down { .. }) if last.is_some() => break,
                result => result,
            };
            let down = host.circuit.remaining(&question.uri);
            let delay = retry::delay(question, &result, attempt, down);
            last = Some(result);
            let Some(delay) = delay.filter(|delay| *delay < call.left) else {
                break;
            };
            tracing::debug!(host = %host.origin, operation = question.operation.as_str(), "asking again");
            // Nobody waits for us meanwhile: the turn is over.
            sleep(delay).await;
            call.left = call.left.saturating_sub(delay);
        }
        match last {
            Some(Ok(answer)) => Ok(answer),
            Some(Err(Fault::Timeout { .. })) | None => Err(error(Fault::Timeout {
                after: begun.elapsed(), // of all attempts
            })),
            Some(Err(fault)) => Err(error(fault)),
        }
    }

    /// Asks a host once, when it is our turn.
    async fn attempt(
        &self,
        host: &Arc<Host>,
        question: &Question,
        call: &mut Call<'_>,
    ) -> Result<Answer, Fault> {
        let _turn = host.turn(question.operation).await?;
        call.count()?;
        let pass = host.circuit.admit(&question.uri)?;
        let limit = self.request_timeout.min(call.left);
        let begun = Instant::now();
        let result = self.converse(host, question, &pass, limit).await;
        let took = begun.elapsed();
        call.left = call.left.saturating_sub(took);
        let change = match &result {
            Ok(answer) => pass.answered(answer.status),
            // A time-out that was cut short is a matter of the call.
            Err(fault) => pass.failed(fault, limit >= self.request_timeout / 2),
        };
        note(host, change, &result);
        let result = match result {
            Ok(answer) => Ok(self.heed(host, answer, question.account, call)),
            Err(Fault::TooLarge { .. }) if question.operation == Operation::Token => {
                Err(Fault::TokenAnswer)
            }
            Err(fault) => Err(fault),
        };
        let kind = match &result {
            Ok(answer) => kind(answer.status, question.operation).map_or(Ok(()), Err),
            Err(fault) => Err(fault.kind()),
        };
        self.observer
            .request(call.registry, question.operation, kind, took);
        result
    }

    /// Sends a request and reads the answer, for no longer than `limit`.
    async fn converse(
        &self,
        host: &Arc<Host>,
        question: &Question,
        pass: &Pass<'_>,
        limit: Duration,
    ) -> Result<Answer, Fault> {
        let request = self.request(question)?;
        let secrets = Secrets::of(request.headers(), question.form.as_ref());
        let begun = Instant::now();
        let answer = within(limit, limit, host.connection.send(request)).await?;
        let (head, body) = answer.into_parts();
        pass.head_arrived();
        tracing::trace!(host = %host.origin, status = head.status.as_u16(), "answered");
        let left = limit.saturating_sub(begun.elapsed());
        let most = match question.operation {
            Operation::Head => 0,
            Operation::Get => manifest::MAX_BYTES,
            Operation::Token => MAX_TOKEN_BYTES,
        };
        let (mut read_body, mut said) = (Bytes::new(), ErrorBody::default());
        if head.status.is_success() && most > 0 {
            // Not the server's time.
            let _memory = self.bodies.acquire(&body, most).await?;
            read_body = within(limit, left, body::read(body, most)).await?;
        } else if head.status.is_client_error() || head.status.is_server_error() {
            // The status is an answer, whatever else comes.
            let reading = ErrorBody::read(&head.headers, body, &secrets);
            let reading = timeout(left.min(ERROR_BODY_TIMEOUT), reading).await;
            said = reading.unwrap_or_default();
        }
        Ok(Answer {
            status: head.status,
            headers: head.headers,
            body: read_body,
            said,
            backoff: None,
            host: Arc::clone(host),
            uri: question.uri.clone(),
        })
    }

    fn request(&self, question: &Question) -> Result<Request<Full<Bytes>>, Fault> {
        let method = match (&question.form, question.operation) {
            (Some(_), _) => Method::POST,
            (None, Operation::Head) => Method::HEAD,
            (None, Operation::Get | Operation::Token) => Method::GET,
        };
        let mut request = Request::builder()
            .method(method)
            .uri(question.uri.clone())
            .header(USER_AGENT, self.user_agent.clone());
        if question.operation != Operation::Token {
            request = request.header(ACCEPT, manifest::ACCEPT);
        }
        if let Some(authorization) = &question.authorization {
            request = request.header(AUTHORIZATION, authorization.clone());
        }
        if let Some(unless) = &question.unless {
            request = request.header(IF_NONE_MATCH, unless.clone());
        }
        if question.form.is_some() {
            request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        }
        request
            .body(Full::new(question.form.clone().unwrap_or_default()))
            .map_err(|error| Fault::Transport(Arc::new(error)))
    }

    /// Takes note of what an answer says about the host as a whole, or about the account.
    fn heed(&self, host: &Host, mut answer: Answer, account: Account, call: &Call<'_>) -> Answer {
        if let Some(limit) = RateLimit::of(&answer.headers) {
            self.observer.rate_limit(call.registry, limit.remaining);
        }
        let now = Instant::now();
        let limited = answer.status == StatusCode::TOO_MANY_REQUESTS;
        if limited && !is_pull_limit(&answer) {
            let wait = host.back_off(now, rate_limit::retry_after(&answer.headers));
            self.observer.backoff(call.registry, Some(wait));
            answer.backoff = Some(wait);
            return answer;
        }
        if limited {
            let asked = rate_limit::retry_after(&answer.headers);
            answer.backoff = Some(host.pull_limits.back_off(account, asked));
        } else if answer.status.is_success() && !has_no_pulls_left(&answer) {
            host.pull_limits.answered(account);
        }
        if host.answered(now) {
            self.observer.backoff(call.registry, None);
        }
        answer
    }
}

/// Waits for a part of an answer: `left` of the time that all of it may take.
async fn within<T>(
    limit: Duration,
    left: Duration,
    wait: impl Future<Output = Result<T, Fault>>,
) -> Result<T, Fault> {
    let waited = timeout(left, wait).await;
    waited.unwrap_or(Err(Fault::Timeout { after: limit }))
}

/// Says when a host is left alone, and when that is over.
fn note(host: &Host, change: Option<Change>, result: &Result<Answer, Fault>) {
    match (change, result) {
        (Some(Change::Closed), _) => tracing::info!(host = %host.origin, "it answers again"),
        (Some(Change::Opened(wait)), result) => {
            let seconds = wait.as_secs();
            let failure = match result {
                Ok(answer) => Fault::Status(answer.status).to_string(),
                Err(fault) => fault.to_string(),
            };
            tracing::info!(host = %host.origin, seconds, failure, "it is not asked for a while");
        }
        (None, _) => {}
    }
}

/// What a status counts as.
fn kind(status: StatusCode, operation: Operation) -> Option<ErrorKind> {
    match status {
        status if status.is_success() || status.is_redirection() => None,
        StatusCode::UNAUTHORIZED => Some(ErrorKind::Unauthorized),
        StatusCode::FORBIDDEN => Some(ErrorKind::Denied),
        StatusCode::TOO_MANY_REQUESTS => Some(ErrorKind::RateLimited),
        _ if operation == Operation::Token => Some(ErrorKind::TokenServer),
        StatusCode::NOT_FOUND => Some(ErrorKind::NotFound),
        _ => Some(ErrorKind::Server),
    }
}

fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

/// Where an answer points.
fn target(answer: &Answer, question: &Question) -> Result<Uri, Fault> {
    let refused = |reason| Fault::RedirectRefused {
        place: "another place".to_owned(),
        reason,
    };
    if question.form.is_some() {
        return Err(refused("what was sent is a secret"));
    }
    answer
        .headers
        .get(LOCATION)
        .and_then(|location| location.to_str().ok())
        .and_then(|location| place::join(&answer.uri, location))
        .ok_or_else(|| refused("its address is missing or malformed"))
}
