//! What a server says about a failure.

use std::fmt;

/// What a server says about a failure.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ErrorBody {
    /// As the server writes them, for example `DENIED` or `invalid_grant`.
    pub(crate) codes: Vec<String>,
    /// The first message, escaped and cut.
    pub(crate) message: Option<String>,
}

impl ErrorBody {
    /// Whether nothing was said.
    pub(crate) fn is_empty(&self) -> bool {
        self.codes.is_empty() && self.message.is_none()
    }
}

impl fmt::Display for ErrorBody {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.codes.join(", "))?;
        match &self.message {
            Some(message) if self.codes.is_empty() => formatter.write_str(message),
            Some(message) => write!(formatter, ": {message}"),
            None => Ok(()),
        }
    }
}
