//! One question and its answer: waiting for a turn, time-outs, size limits, retries and redirects.

use std::{
    hash::{BuildHasher, RandomState},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Method, Request, StatusCode, Uri,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, IF_NONE_MATCH, LOCATION, USER_AGENT},
};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use tokio::time::{Instant, sleep, timeout};

use crate::{
    connection::classify,
    error::{Error, ErrorKind},
    error_body::{ErrorBody, Secrets},
    fault::Fault,
    host::Host,
    manifest,
    observer::Operation,
    place,
    pull_limits::{Account, has_no_pulls_left, is_pull_limit},
    rate_limit::{self, RateLimit},
    target::Origin,
    transport::{RuleIndex, Transport},
};

/// Further attempts after a failure that may pass.
const RETRIES: u32 = 3;

/// The wait before the first further attempt; it doubles.
const RETRY_DELAY: Duration = Duration::from_millis(200);

/// A server that asks for a longer wait than this is left alone instead.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(5);

/// Redirects that are followed in a row.
const MAX_REDIRECTS: usize = 5;

/// The largest answer of a token server, in bytes.
const MAX_TOKEN_BYTES: usize = 64 * 1024;

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
    pub(crate) left: Duration,
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
                at = self.host(&origin, call.rule);
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

    /// Asks a host when it is our turn.
    async fn ask_once(
        &self,
        host: &Arc<Host>,
        question: &Question,
        call: &mut Call<'_>,
    ) -> Result<Answer, Error> {
        let error = |fault| Error::new(host.origin.to_string(), fault);
        host.pull_limits.check(question.account).map_err(error)?;
        // Kept over all attempts: those behind learn from the last one whether there is any hope.
        let _turn = host.turn(question.operation).await.map_err(error)?;
        let attempts = self.attempts(host, question, call);
        if host.is_known() {
            return attempts.await.map_err(error);
        }
        // Who has asked a little later need not find out by itself that nobody answers.
        host.queue(attempts)
            .await
            .and_then(|result| result)
            .map_err(error)
    }

    /// Asks a host until it answers, or there is no hope.
    async fn attempts(
        &self,
        host: &Arc<Host>,
        question: &Question,
        call: &mut Call<'_>,
    ) -> Result<Answer, Fault> {
        let begun = Instant::now();
        let mut attempt = 0;
        loop {
            let result = self.attempt(host, question, call).await;
            let delay = delay(question, &result, attempt).filter(|delay| *delay < call.left);
            let Some(delay) = delay else {
                if let Err(fault) = &result {
                    host.discourage(fault);
                }
                return match result {
                    Err(Fault::Timeout { .. }) => Err(Fault::Timeout {
                        after: begun.elapsed(), // of all attempts
                    }),
                    other => other,
                };
            };
            tracing::debug!(host = %host.origin, operation = question.operation.as_str(), "asking again");
            sleep(delay).await;
            call.left = call.left.saturating_sub(delay);
            attempt += 1;
        }
    }

    async fn attempt(
        &self,
        host: &Arc<Host>,
        question: &Question,
        call: &mut Call<'_>,
    ) -> Result<Answer, Fault> {
        let limit = self.request_timeout.min(call.left);
        let begun = Instant::now();
        let result = match timeout(limit, self.converse(host, question)).await {
            Ok(result) => result,
            Err(_) => Err(Fault::Timeout { after: limit }),
        };
        let took = begun.elapsed();
        call.left = call.left.saturating_sub(took);
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

    async fn converse(&self, host: &Arc<Host>, question: &Question) -> Result<Answer, Fault> {
        let request = self.request(question)?;
        let secrets = Secrets::of(request.headers(), question.form.as_ref());
        let (head, body) = host.connection.send(request).await?.into_parts();
        tracing::trace!(host = %host.origin, status = head.status.as_u16(), "answered");
        let limit = match question.operation {
            Operation::Head => 0,
            Operation::Get => manifest::MAX_BYTES,
            Operation::Token => MAX_TOKEN_BYTES,
        };
        let (mut read_body, mut said) = (Bytes::new(), ErrorBody::default());
        if head.status.is_success() && limit > 0 {
            read_body = read(Limited::new(body, limit), limit).await?;
        } else if head.status.is_client_error() || head.status.is_server_error() {
            said = ErrorBody::read(&head.headers, body, &secrets).await;
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
            let until = (self.clock)().checked_add(wait).ok();
            self.observer.backoff(call.registry, until);
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

async fn read(body: Limited<hyper::body::Incoming>, limit: usize) -> Result<Bytes, Fault> {
    match body.collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(Fault::TooLarge { limit }),
        Err(error) => Err(classify(error)),
    }
}

/// How long to wait before another attempt, if one makes sense.
fn delay(question: &Question, result: &Result<Answer, Fault>, attempt: u32) -> Option<Duration> {
    if attempt >= RETRIES || (is_login(question) && !matches!(result, Err(Fault::Connect(_)))) {
        return None;
    }
    let own = jitter(RETRY_DELAY.saturating_mul(1 << attempt));
    match result {
        Err(Fault::Timeout { .. } | Fault::Connect(_) | Fault::Transport(_)) => Some(own),
        Ok(answer) if may_pass(answer.status) || answer.status == StatusCode::REQUEST_TIMEOUT => {
            let asked = rate_limit::retry_after(&answer.headers).unwrap_or_default();
            (asked <= MAX_RETRY_AFTER).then(|| asked.max(own))
        }
        _ => None,
    }
}

/// Whether a token server gets a credential: a refresh token may be good for one use, and a server that fails behind its
/// login may have counted a failed one.
fn is_login(question: &Question) -> bool {
    question.operation == Operation::Token
        && (question.form.is_some() || question.authorization.is_some())
}

/// Whether a failure of a server may pass.
fn may_pass(status: StatusCode) -> bool {
    status.is_server_error() && status != StatusCode::NOT_IMPLEMENTED
}

/// Between half of a duration and all of it, so that many clients do not come back in one instant.
fn jitter(duration: Duration) -> Duration {
    // Each RandomState has other keys, which is all the randomness that is needed.
    let random = RandomState::new().hash_one(0) & 0xffff;
    duration.mul_f64(0.5).saturating_add(
        duration.mul_f64(0.5 * f64::from(u32::try_from(random).unwrap_or(0)) / 65_536.0),
    )
}

/// What a status counts as.
fn kind(status: StatusCode, operation: Operation) -> Option<ErrorKind> {
    match status {
        status if status.is_success() || status.is_redirection() => None,
        StatusCode::UNAUTHORIZED => Some(ErrorKind::Unauthorized),
        StatusCode::FORBIDDEN => Some(ErrorKind::Denied),
        StatusCode::TOO_MANY_REQUESTS => Some(ErrorKind::RateLimited),
        _ if operation == Operation::Token => Some(ErrorKind::TokenServer),
        StatusCode::NOT_FOUND => Some(ErrorKind::TagNotFound),
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
