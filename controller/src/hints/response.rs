//! Responses to senders of hints.

use std::time::Duration;

use http::{HeaderValue, StatusCode, header};

use crate::server::{admin::text, body::Body};

/// `Retry-After` of temporary failures, in seconds.
const RETRY_AFTER: u64 = 5;

/// A response to a sender.
pub(super) type Response = http::Response<Body>;

pub(super) fn unauthorized() -> Response {
    with(
        line(StatusCode::UNAUTHORIZED, "not authenticated"),
        header::WWW_AUTHENTICATE,
        HeaderValue::from_static("Bearer"),
    )
}

pub(super) fn too_many(wait: Duration) -> Response {
    let seconds = wait.as_secs().saturating_add(1);
    let response = line(StatusCode::TOO_MANY_REQUESTS, "too many requests");
    with(response, header::RETRY_AFTER, HeaderValue::from(seconds))
}

pub(super) fn unavailable(message: &str) -> Response {
    let response = line(StatusCode::SERVICE_UNAVAILABLE, message);
    with(
        response,
        header::RETRY_AFTER,
        HeaderValue::from(RETRY_AFTER),
    )
}

pub(super) fn line(status: StatusCode, message: &str) -> Response {
    text(status, format!("{message}\n"))
}

pub(super) fn with(
    mut response: Response,
    name: header::HeaderName,
    value: HeaderValue,
) -> Response {
    response.headers_mut().insert(name, value);
    response
}
