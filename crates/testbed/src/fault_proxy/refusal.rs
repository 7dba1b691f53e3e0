//! Answers that refuse: a status for every request, and what Artifactory says of single images and repositories.

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode,
    header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE},
};
use http_body_util::Full;
use serde_json::json;

/// The headers by which Artifactory is known.
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

/// Adds the headers by which Artifactory is known.
pub(super) fn mark(headers: &mut HeaderMap) {
    for (name, value) in MARKERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
}

/// An answer with this status and nothing else that is to the point.
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

/// 403 with a body as the API of registries has it; a HEAD request gets the headers alone.
fn forbidden(method: &Method, code: &str, message: &str) -> Response<Full<Bytes>> {
    let error = json!({ "code": code, "message": message, "detail": null });
    let body = match *method {
        Method::HEAD => Full::default(),
        _ => Full::from(json!({ "errors": [error] }).to_string()),
    };
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::FORBIDDEN;
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, json);
    response
}

/// An image that a policy of Xray keeps from being downloaded.
pub(super) fn blocked(method: &Method, repository: &str, digest: &str) -> Response<Full<Bytes>> {
    let path = format!("{repository}/{}/manifest.json", digest.replace(':', "__"));
    let message = format!(
        "Artifact download request rejected: {path} was not downloaded due to the download blocking policy \
         configured in Xray for docker-local."
    );
    forbidden(method, "UNKNOWN", &message)
}

/// A repository that the login has no right to.
pub(super) fn denied(method: &Method, repository: &str) -> Response<Full<Bytes>> {
    let message = format!("The client does not have permission for the repository {repository}");
    forbidden(method, "DENIED", &message)
}
