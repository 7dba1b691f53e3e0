//! Untrusted text: truncated, and without invisible characters.

use std::{
    borrow::Cow,
    fmt::{self, Write as _},
};

use kube_autorollout_core::{labels::is_visible, short};

/// Image references are truncated to this many characters. Repositories have up to 255, and tags 128.
const MAX_IMAGE: usize = 512;

/// A truncated image reference.
pub(crate) fn truncated(image: &str) -> Cow<'_, str> {
    match image.char_indices().nth(MAX_IMAGE) {
        Some((end, _)) => {
            let start = image.get(..end).unwrap_or_default();
            Cow::Owned(format!("{start}…"))
        }
        None => Cow::Borrowed(image),
    }
}

/// A text without control and formatting characters, truncated to a number of characters.
pub(crate) struct Visible<'a>(pub(crate) &'a str, pub(crate) usize);

impl fmt::Display for Visible<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(text, max_length) = self;
        let mut letters = text.chars();
        for letter in letters.by_ref().take(max_length.saturating_sub(1)) {
            formatter.write_char(shown(letter))?;
        }
        match (letters.next(), letters.next()) {
            (None, _) => Ok(()),
            (Some(last), None) => formatter.write_char(shown(last)),
            (Some(_), Some(_)) => formatter.write_char('…'),
        }
    }
}

/// A text escaped for HTML, in an element or between quotes.
pub(crate) struct Escaped<T>(pub(crate) T);

impl<T: fmt::Display> fmt::Display for Escaped<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(Escape(formatter), "{}", self.0)
    }
}

struct Escape<'a, 'b>(&'a mut fmt::Formatter<'b>);

impl fmt::Write for Escape<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.chars().try_for_each(|letter| match letter {
            '&' => self.0.write_str("&amp;"),
            '<' => self.0.write_str("&lt;"),
            '>' => self.0.write_str("&gt;"),
            '"' => self.0.write_str("&quot;"),
            '\'' => self.0.write_str("&#39;"),
            letter => self.0.write_char(letter),
        })
    }
}

fn shown(letter: char) -> char {
    if is_visible(letter) {
        letter
    } else {
        char::REPLACEMENT_CHARACTER
    }
}

/// An abbreviated digest.
pub(crate) fn short_digest(digest: &str) -> &str {
    let hex = digest.split_once(':').map_or(digest, |(_, hex)| hex);
    short::prefix(hex)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_text_is_cut_at_the_given_number_of_characters() {
        let cut = |longest| Visible("äbcd", longest).to_string();
        assert_eq!(
            [cut(5), cut(4), cut(3), cut(1)],
            ["äbcd", "äbcd", "äb…", "…"]
        );
        assert_eq!(truncated(&"a".repeat(600)).chars().count(), 513);
        assert_eq!(truncated("ghcr.io/team/web:main"), "ghcr.io/team/web:main");
    }

    #[test]
    fn digests_are_shown_by_their_first_letters() {
        let digest = format!("sha256:{}", "0123456789abcdef".repeat(4));
        assert_eq!(short_digest(&digest), "0123456789ab");
        assert_eq!(short_digest("sha256:ab"), "ab");
        assert_eq!(short_digest("é"), "é");
    }

    proptest! {
        #[test]
        fn escaped_text_has_no_markup_and_no_control_characters(text in any::<String>()) {
            let escaped = Escaped(Visible(&text, 300)).to_string();
            prop_assert!(!escaped.contains(['<', '>', '"', '\'']), "{escaped}");
            prop_assert!(escaped.chars().all(is_visible), "{escaped}");
            let entities = ["amp;", "lt;", "gt;", "quot;", "#39;"];
            let mut ampersands = escaped.split('&').skip(1);
            prop_assert!(ampersands.all(|rest| entities.iter().any(|entity| rest.starts_with(entity))));
        }

        #[test]
        fn visible_text_is_never_longer_than_it_may_be(text in any::<String>(), longest in 1..50usize) {
            let shown = Visible(&text, longest).to_string();
            prop_assert!(shown.chars().count() <= longest, "{shown}");
        }
    }
}
