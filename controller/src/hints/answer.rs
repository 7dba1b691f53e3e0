//! Answers to those who send hints.

use std::time::Duration;

use http::{HeaderMap, HeaderValue, Response, StatusCode, header};

use crate::server::{body::Body, http::text};

/// How soon a sender is to try again while no replica leads, in seconds.
const NO_LEADER: u64 = 5;

/// An answer to a sender.
pub(super) type Answer = Response<Body>;

pub(super) fn unauthorized() -> Answer {
    with(
        line(StatusCode::UNAUTHORIZED, "not authenticated"),
        header::WWW_AUTHENTICATE,
        HeaderValue::from_static("Bearer"),
    )
}

pub(super) fn too_many(wait: Duration) -> Answer {
    let seconds = wait.as_secs().saturating_add(1);
    let answer = line(StatusCode::TOO_MANY_REQUESTS, "too many requests");
    with(answer, header::RETRY_AFTER, HeaderValue::from(seconds))
}

pub(super) fn later(what: &str) -> Answer {
    let answer = line(StatusCode::SERVICE_UNAVAILABLE, what);
    with(answer, header::RETRY_AFTER, HeaderValue::from(NO_LEADER))
}

pub(super) fn line(status: StatusCode, what: &str) -> Answer {
    text(status, format!("{what}\n"))
}

pub(super) fn with(mut answer: Answer, name: header::HeaderName, value: HeaderValue) -> Answer {
    answer.headers_mut().insert(name, value);
    answer
}

pub(super) fn with_headers(mut answer: Answer, headers: HeaderMap) -> Answer {
    answer.headers_mut().extend(headers);
    answer
}
