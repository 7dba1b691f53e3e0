//! What goes back to a client.

use bytes::Bytes;
use futures::Stream;
use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::{Either, Full, StreamBody};
use hyper::body::Frame;
use serde_json::json;

/// What goes back: something short of our own, or what the API server says, document by document.
pub(super) type Answer = Either<Full<Bytes>, StreamBody<BoxedFrames>>;

pub(super) type BoxedFrames =
    std::pin::Pin<Box<dyn Stream<Item = Result<Frame<Bytes>, kube::Error>> + Send>>;

/// There is no server, as a load balancer says it; clients may be asked to come back after so many seconds.
pub(super) fn unavailable(retry_after: Option<u32>) -> Response<Answer> {
    let message = "no server is available to handle this request";
    let mut response = refused(
        StatusCode::SERVICE_UNAVAILABLE,
        "ServiceUnavailable",
        message,
    );
    if let Some(seconds) = retry_after {
        let headers = response.headers_mut();
        headers.insert(header::RETRY_AFTER, seconds.into());
    }
    response
}

pub(super) fn refused(code: StatusCode, reason: &str, message: &str) -> Response<Answer> {
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "status": "Failure",
        "message": message, "reason": reason, "code": code.as_u16(),
    });
    let mut response = Response::new(Either::Left(Full::from(status.to_string())));
    *response.status_mut() = code;
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response
}
