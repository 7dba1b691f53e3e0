//! Responses to a client.

use bytes::Bytes;
use futures::Stream;
use http::{Response, StatusCode, header};
use http_body_util::{Either, Full, StreamBody};
use hyper::body::Frame;
use serde_json::json;

use crate::server;

/// A body of the gateway's own, or that of the API server, document by document.
pub(super) type Body = Either<Full<Bytes>, StreamBody<BoxedFrames>>;

pub(super) type BoxedFrames =
    std::pin::Pin<Box<dyn Stream<Item = Result<Frame<Bytes>, kube::Error>> + Send>>;

/// 503 as from a load balancer that has no server, optionally with `Retry-After` in seconds.
pub(super) fn unavailable(retry_after: Option<u32>) -> Response<Body> {
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

pub(super) fn refused(code: StatusCode, reason: &str, message: &str) -> Response<Body> {
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "status": "Failure",
        "message": message, "reason": reason, "code": code.as_u16(),
    });
    server::json(code, &status).map(Either::Left)
}
