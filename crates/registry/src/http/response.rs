//! What a host answers.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, StatusCode, Uri};

use super::rate_limit;
use crate::{
    error::{Error, ErrorKind, body::ErrorBody, repr::Repr},
    observer::Operation,
    origin::Origin,
};

/// Headers that only Artifactory sends.
const ARTIFACTORY: [&str; 3] = [
    "x-jfrog-version",
    "x-artifactory-id",
    "x-artifactory-node-id",
];

/// What was answered, by whom.
pub(crate) struct Response {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    /// Empty unless the status is a success.
    pub(crate) body: Bytes,
    /// What a failure's body says.
    pub(crate) said: ErrorBody,
    /// How long the host is not asked after this response, a 429.
    pub(crate) backoff: Option<Duration>,
    /// The host that answered.
    pub(crate) origin: Origin,
    pub(crate) uri: Uri,
}

impl Response {
    /// The error that the response is.
    pub(crate) fn error(&self, repr: Repr) -> Error {
        let retry_after = rate_limit::retry_after(&self.headers);
        let said = (self.status, self.said.clone(), retry_after);
        Error::of_response(self.origin.to_string(), repr, said)
    }

    /// Whether Artifactory answers.
    pub(crate) fn is_artifactory(&self) -> bool {
        let mut markers = ARTIFACTORY.iter();
        markers.any(|name| self.headers.contains_key(*name))
    }

    pub(crate) fn is_redirect(&self) -> bool {
        matches!(self.status.as_u16(), 301 | 302 | 303 | 307 | 308)
    }

    /// Whether it has what was asked for, or says that nothing has changed about it.
    pub(crate) fn is_found(&self) -> bool {
        self.status.is_success() || self.status == StatusCode::NOT_MODIFIED
    }

    /// What the response counts as.
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

/// Whether a server's failure may pass by itself. 501 does not.
pub(crate) fn is_transient(status: StatusCode) -> bool {
    (status.is_server_error() && status != StatusCode::NOT_IMPLEMENTED)
        || status == StatusCode::REQUEST_TIMEOUT
}
