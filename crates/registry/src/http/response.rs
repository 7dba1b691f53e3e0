//! The response of a host.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, StatusCode, Uri};

use super::rate_limit;
use crate::{
    error::{Error, ErrorBody, ErrorKind, FailedResponse, repr::Repr},
    observer::Operation,
    origin::Origin,
};

/// Headers that only Artifactory sends.
const ARTIFACTORY: [&str; 3] = [
    "x-jfrog-version",
    "x-artifactory-id",
    "x-artifactory-node-id",
];

/// A response, and the host that sent it.
pub(crate) struct Response {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    /// Empty unless the status is a success.
    pub(crate) body: Bytes,
    /// The parsed body of a failure.
    pub(crate) error_body: ErrorBody,
    /// How long the host, or the account, gets no requests after this 429.
    pub(crate) backoff: Option<Duration>,
    pub(crate) origin: Origin,
    pub(crate) uri: Uri,
}

impl Response {
    /// An error for this response.
    pub(crate) fn error(&self, repr: Repr) -> Error {
        let response = FailedResponse {
            status: self.status,
            body: self.error_body.clone(),
            retry_after: rate_limit::retry_after(&self.headers),
        };
        Error::of_response(self.origin.to_string(), repr, response)
    }

    /// Whether the server is an Artifactory.
    pub(crate) fn is_artifactory(&self) -> bool {
        let mut markers = ARTIFACTORY.iter();
        markers.any(|name| self.headers.contains_key(*name))
    }

    pub(crate) fn is_redirect(&self) -> bool {
        matches!(self.status.as_u16(), 301 | 302 | 303 | 307 | 308)
    }

    /// Whether it has the requested content, or confirms that it has not changed.
    pub(crate) fn has_content(&self) -> bool {
        self.status.is_success() || self.status == StatusCode::NOT_MODIFIED
    }

    /// The result that is reported to the observer.
    pub(crate) fn kind(&self, operation: Operation) -> Result<(), ErrorKind> {
        Err(match self.status {
            status if status.is_success() || status.is_redirection() => return Ok(()),
            StatusCode::UNAUTHORIZED => ErrorKind::Unauthorized,
            StatusCode::FORBIDDEN => ErrorKind::Denied,
            StatusCode::TOO_MANY_REQUESTS => ErrorKind::RateLimited,
            _ if operation == Operation::Token => ErrorKind::TokenServer,
            StatusCode::NOT_FOUND => ErrorKind::NotFound,
            _ => ErrorKind::Server,
        })
    }
}

/// Whether a retry may succeed. Not after 501.
pub(crate) fn is_transient(status: StatusCode) -> bool {
    (status.is_server_error() && status != StatusCode::NOT_IMPLEMENTED)
        || status == StatusCode::REQUEST_TIMEOUT
}
