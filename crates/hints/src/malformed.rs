//! Why an authenticated request cannot be read.

use http::StatusCode;
use kube_autorollout_core::reference::InvalidReference;

/// The longest body, in bytes.
pub const MAX_BODY: usize = 1 << 20;

/// The most tags that a request may name, over all of its repositories.
pub const MAX_TAGS: usize = 100;

/// Why an authenticated request cannot be read. The text repeats nothing of the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Malformed {
    /// The body is longer than [`MAX_BODY`].
    #[error("the body is longer than {MAX_BODY} bytes")]
    TooLarge,
    /// There is no body.
    #[error("the body is empty; the sender must send JSON")]
    Empty,
    /// The body is no JSON, or ends too early.
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
    /// A field that is needed is missing.
    #[error("the body has no {0}; check the type of the receiver")]
    Missing(&'static str),
    /// The data of a `CloudEvent` is not encoded as its name says.
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
    /// The payload does not say which registry it is.
    #[error("the payload names no registry; set the receiver's registryHost")]
    NoHost,
    /// What the payload calls the registry is no host that an image can name.
    #[error(
        "images cannot name the registry's host of the payload, which needs a dot or a port; set the receiver's registryHost"
    )]
    Host,
    /// What the payload names is no image.
    #[error(transparent)]
    Image(#[from] InvalidReference),
    /// More tags than [`MAX_TAGS`].
    #[error("the request names more than {MAX_TAGS} tags")]
    TooMany,
}

impl Malformed {
    /// Keeps the position, and nothing of the text, which repeats the input.
    pub(crate) fn from_json(error: &serde_json::Error) -> Self {
        let (line, column) = (error.line(), error.column());
        if error.is_data() {
            Self::Shape { line, column }
        } else {
            Self::Json { line, column }
        }
    }

    /// The answer to the sender. Senders that repeat until they succeed need another one
    /// ([`Sender::repeats_until_accepted`](crate::Sender::repeats_until_accepted)).
    pub fn status(self) -> StatusCode {
        match self {
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Form | Self::NotACloudEvent => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            _ => StatusCode::BAD_REQUEST,
        }
    }
}
