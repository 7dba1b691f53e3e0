//! Errors in the bodies of requests.

use http::StatusCode;
use kube_autorollout_core::reference::InvalidReference;

/// The longest body, in bytes.
pub const MAX_BODY: usize = 1 << 20;

/// The most tags that a request may name, over all of its repositories.
pub const MAX_TAGS: usize = 100;

/// Why an authenticated request cannot be parsed. The message repeats nothing of the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Malformed {
    /// The body is longer than [`MAX_BODY`].
    #[error("the body is longer than {MAX_BODY} bytes")]
    TooLarge,
    /// There is no body.
    #[error("the body is empty; the sender must send JSON")]
    Empty,
    /// The body is not JSON, or is truncated.
    #[error("the body is no JSON, at line {line}, column {column}")]
    Json {
        /// Counted from one.
        line: usize,
        /// Counted from one.
        column: usize,
    },
    /// The body is JSON of another shape.
    #[error(
        "the body is not what this type of receiver expects, at line {line}, column {column}; check the type of the \
         receiver, and that the sender's template of the body was not changed"
    )]
    Shape {
        /// Counted from one.
        line: usize,
        /// Counted from one.
        column: usize,
    },
    /// A required field is missing.
    #[error("the body has no {0}; check the type of the receiver")]
    Missing(&'static str),
    /// The `data_base64` of a `CloudEvent` is not Base64.
    #[error("data_base64 is not encoded in Base64")]
    Base64,
    /// A form where JSON is expected.
    #[error("the body is a form; set the content type of the sender to application/json")]
    Form,
    /// Neither the headers nor the body are those of a `CloudEvent`.
    #[error(
        "the request is no CloudEvent of version 1.0: it needs the content type application/cloudevents+json, or the headers \
         ce-specversion and ce-type"
    )]
    NotACloudEvent,
    /// The payload does not name the registry.
    #[error("the payload names no registry; set the receiver's registryHost")]
    NoHost,
    /// The payload's registry is not a host that an image reference can have.
    #[error(
        "images cannot name the registry's host of the payload, which needs a dot or a port; set the receiver's registryHost"
    )]
    Host,
    /// The payload's image reference is invalid.
    #[error(transparent)]
    Image(#[from] InvalidReference),
    /// More tags than [`MAX_TAGS`].
    #[error("the request names more than {MAX_TAGS} tags")]
    TooMany,
}

impl Malformed {
    /// Keeps only the position, because the message repeats the input.
    pub(crate) fn from_json(error: &serde_json::Error) -> Self {
        let (line, column) = (error.line(), error.column());
        if error.is_data() {
            Self::Shape { line, column }
        } else {
            Self::Json { line, column }
        }
    }

    /// The status of the response. Senders that retry until they succeed need another one
    /// ([`Sender::repeats_until_accepted`](crate::Sender::repeats_until_accepted)).
    pub fn status(self) -> StatusCode {
        match self {
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Form | Self::NotACloudEvent => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            _ => StatusCode::BAD_REQUEST,
        }
    }
}
