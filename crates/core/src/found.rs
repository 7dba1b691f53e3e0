//! What a user wrote, as an error shows it.

use std::fmt;

/// The most characters of a user's text that an error repeats; an Event holds a kilobyte in all.
const MAX_CHARACTERS: usize = 80;

/// A text that could not be used: shown in quotes, escaped and cut, so that it can break neither a log nor an Event.
#[derive(Clone, PartialEq, Eq)]
pub struct Found(Box<str>);

impl Found {
    /// Keeps the beginning of `text`.
    pub fn new(text: &str) -> Self {
        let mut kept: String = text.chars().take(MAX_CHARACTERS).collect();
        if kept.len() < text.len() {
            kept.push('…');
        }
        Self(kept.into())
    }
}

impl fmt::Display for Found {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:?}", self.0)
    }
}

impl fmt::Debug for Found {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_quoted_escaped_and_cut() {
        assert_eq!(Found::new("5 x\n").to_string(), r#""5 x\n""#);
        let long = Found::new(&"ä".repeat(1000)).to_string();
        assert_eq!(long, format!("\"{}…\"", "ä".repeat(MAX_CHARACTERS)));
    }
}
