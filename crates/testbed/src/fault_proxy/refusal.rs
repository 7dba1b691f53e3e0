//! Responses that refuse a request: with a bare status, or as Artifactory refuses single images and repositories.

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode,
    header::{RETRY_AFTER, WWW_AUTHENTICATE},
};
use http_body_util::Full;
use serde_json::json;

use crate::server;

/// The headers that identify Artifactory.
const MARKERS: [(HeaderName, &str); 3] = [
    (
        HeaderName::from_static("x-jfrog-version"),
        "Artifactory/7.117.19 81719900",
    ),
    (
        HeaderName::from_static("x-artifactory-id"),
        "0123456789abcdef:testbed",
    ),
    (
        HeaderName::from_static("x-artifactory-node-id"),
        "artifactory-0",
    ),
];

/// Adds the headers that identify Artifactory.
pub(super) fn mark(headers: &mut HeaderMap) {
    for (name, value) in MARKERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
}

/// A response of this status without a body.
pub(super) fn status(status: StatusCode) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = status;
    let header = match status {
        StatusCode::UNAUTHORIZED => Some((WWW_AUTHENTICATE, r#"Basic realm="registry""#)),
        StatusCode::TOO_MANY_REQUESTS => Some((RETRY_AFTER, "2")),
        _ => None,
    };
    if let Some((name, value)) = header {
        let value = HeaderValue::from_static(value);
        response.headers_mut().insert(name, value);
    }
    response
}

/// 403 with a body as the distribution specification defines it, without the body for HEAD.
fn forbidden(method: &Method, code: &str, message: &str) -> Response<Full<Bytes>> {
    let error = json!({ "code": code, "message": message, "detail": null });
    let response = server::json(StatusCode::FORBIDDEN, &json!({ "errors": [error] }));
    match *method {
        Method::HEAD => response.map(|_| Full::default()),
        _ => response,
    }
}

/// An image whose download a policy of Xray blocks.
pub(super) fn blocked(method: &Method, repository: &str, digest: &str) -> Response<Full<Bytes>> {
    let path = format!("{repository}/{}/manifest.json", digest.replace(':', "__"));
    let message = format!(
        "Artifact download request rejected: {path} was not downloaded due to the download blocking policy \
         configured in Xray for docker-local."
    );
    forbidden(method, "UNKNOWN", &message)
}

/// A repository to which the client has no access.
pub(super) fn denied(method: &Method, repository: &str) -> Response<Full<Bytes>> {
    let message = format!("The client does not have permission for the repository {repository}");
    forbidden(method, "DENIED", &message)
}
