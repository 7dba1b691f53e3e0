//! Failures to obtain a credential.

use std::time::Duration;

use kube_autorollout_registry::ProviderError;

/// Longer error codes of servers are dropped.
const MAX_CODE: usize = 64;

/// Why no credential was issued: the step that failed, the cause, and advice. It never contains a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    /// The step in the cloud's terms, and the endpoint.
    step: String,
    /// The cloud's error code, or why there was no response.
    cause: String,
    advice: &'static str,
    /// The server is unavailable; no change of configuration is needed.
    pub(crate) is_transient: bool,
}

impl Failure {
    /// A failure that persists until somebody changes the configuration.
    pub(crate) fn permanent(
        step: impl Into<String>,
        cause: impl Into<String>,
        advice: &'static str,
    ) -> Self {
        Self {
            step: step.into(),
            cause: cause.into(),
            advice,
            is_transient: false,
        }
    }

    /// There was no response, or one of an overloaded or failing server.
    pub(crate) fn transient(
        step: impl Into<String>,
        cause: impl Into<String>,
        advice: &'static str,
    ) -> Self {
        Self {
            is_transient: true,
            ..Self::permanent(step, cause, advice)
        }
    }

    /// Marks the failure as transient if the server is busy.
    pub(crate) fn transient_if(mut self, is_busy: bool) -> Self {
        self.is_transient |= is_busy;
        self
    }

    /// Replaces the advice.
    pub(crate) fn with_advice(mut self, advice: &'static str) -> Self {
        self.advice = advice;
        self
    }

    /// The error for callers, which must not retry within `wait`.
    pub(crate) fn to_error(&self, wait: Duration) -> ProviderError {
        let text = format!("{}: {}", self.step, self.cause);
        ProviderError::new(text, self.advice).retry_after(wait)
    }
}

/// A server's error code if it is safe to show: only letters, digits, `.`, `_` and `-`, so that it is not a token that the
/// server echoed.
pub(crate) fn code(text: &str) -> Option<String> {
    let is_code =
        |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '.' | '_' | '-');
    let fits = !text.is_empty() && text.len() <= MAX_CODE && text.chars().all(is_code);
    fits.then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_shown_and_a_text_is_not() {
        assert_eq!(code("AccessDenied").as_deref(), Some("AccessDenied"));
        assert_eq!(code("AADSTS70021").as_deref(), Some("AADSTS70021"));
        for text in ["", "two words", "a\nb", &"a".repeat(65), "a=b&c"] {
            assert_eq!(code(text), None, "{text}");
        }
    }
}
