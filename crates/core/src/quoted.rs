//! User input as errors quote it.

use std::fmt;

/// An error repeats at most this many characters of its input: the note of an Event is limited to a kilobyte.
const MAX_CHARACTERS: usize = 80;

/// Invalid input, shown quoted, escaped and truncated, so that it can break neither a log line nor an Event.
#[derive(Clone, PartialEq, Eq)]
pub struct Quoted(Box<str>);

impl Quoted {
    /// Keeps the beginning of `text`.
    pub fn new(text: &str) -> Self {
        let mut kept: String = text.chars().take(MAX_CHARACTERS).collect();
        if kept.len() < text.len() {
            kept.push('…');
        }
        Self(kept.into())
    }
}

impl fmt::Display for Quoted {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:?}", self.0)
    }
}

impl fmt::Debug for Quoted {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_quoted_escaped_and_cut() {
        assert_eq!(Quoted::new("5 x\n").to_string(), r#""5 x\n""#);
        let long = Quoted::new(&"ä".repeat(1000)).to_string();
        assert_eq!(long, format!("\"{}…\"", "ä".repeat(MAX_CHARACTERS)));
    }
}
