//! A text that is never shown.

use std::fmt;

use super::scalar::{Refusal, Scalar};

/// A text that no log may show. A key whose value is refused with what is allowed here holds a secret.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct SecretText(String);

impl SecretText {
    /// The text itself, for the one who sends it.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("[redacted]")
    }
}

impl Scalar for SecretText {
    const ALLOWED: &'static str = "a non-empty string";

    fn parse(text: &str) -> Result<Self, Refusal> {
        Ok(Self(text.to_owned()))
    }
}
