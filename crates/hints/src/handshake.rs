//! The handshake that senders of `CloudEvents` perform before they send
//! (<https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/http-webhook.md#4-abuse-protection>).

use http::{HeaderMap, HeaderName, HeaderValue};

const REQUEST_ORIGIN: HeaderName = HeaderName::from_static("webhook-request-origin");
const REQUEST_RATE: HeaderName = HeaderName::from_static("webhook-request-rate");
const ALLOWED_ORIGIN: HeaderName = HeaderName::from_static("webhook-allowed-origin");
const ALLOWED_RATE: HeaderName = HeaderName::from_static("webhook-allowed-rate");

/// The headers of the response (200) to an `OPTIONS` request to a receiver of `CloudEvents`; `None` if it is not a handshake. It
/// grants nothing: each event is authenticated.
pub fn handshake(headers: &HeaderMap, requests_per_minute: u32) -> Option<HeaderMap> {
    let origin = headers.get(REQUEST_ORIGIN)?;
    let mut response = HeaderMap::from_iter([(ALLOWED_ORIGIN, origin.clone())]);
    if headers.contains_key(REQUEST_RATE) {
        response.insert(ALLOWED_RATE, HeaderValue::from(requests_per_minute));
    }
    Some(response)
}
