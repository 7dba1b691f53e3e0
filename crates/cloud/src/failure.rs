//! Why no credential was issued.

use std::time::Duration;

use kube_autorollout_registry::ProviderError;

/// Longer codes are cut: they come from servers.
const MAX_CODE: usize = 64;

/// Why no credential was issued: which step failed, how, and what to do about it. It never holds a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    /// The step, in the cloud's own words, and where.
    step: String,
    /// The cloud's error code, or what happened instead of an answer.
    what: String,
    advice: &'static str,
    /// The server is away: nobody has to change anything.
    pub(crate) passes: bool,
}

impl Failure {
    /// The cloud, or what it needs, refuses: somebody has to change something.
    pub(crate) fn refused(
        step: impl Into<String>,
        what: impl Into<String>,
        advice: &'static str,
    ) -> Self {
        Self {
            step: step.into(),
            what: what.into(),
            advice,
            passes: false,
        }
    }

    /// There was no answer, or one that says that the server is in trouble.
    pub(crate) fn away(
        step: impl Into<String>,
        what: impl Into<String>,
        advice: &'static str,
    ) -> Self {
        Self {
            passes: true,
            ..Self::refused(step, what, advice)
        }
    }

    /// The same, which passes by itself if the server is only busy.
    pub(crate) fn passing_if(mut self, is_busy: bool) -> Self {
        self.passes |= is_busy;
        self
    }

    /// The same with advice that says more.
    pub(crate) fn with_advice(mut self, advice: &'static str) -> Self {
        self.advice = advice;
        self
    }

    /// For the caller, who is not to ask again for so long.
    pub(crate) fn to_error(&self, wait: Duration) -> ProviderError {
        let text = format!("{}: {}", self.step, self.what);
        ProviderError::new(text, self.advice).retry_after(wait)
    }
}

/// A server's error code as it may be shown: letters, digits and `.`, `_`, `-` only, so that it can be no token that
/// somebody sent back.
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
