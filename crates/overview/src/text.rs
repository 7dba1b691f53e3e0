//! Other people's words: cut, and without what is not seen.

use std::{
    borrow::Cow,
    fmt::{self, Write as _},
};

use kube_autorollout_core::{labels::is_visible, short};

/// More of the name of an image is cut off, in characters. Repositories have up to 255, and tags 128.
const LONGEST_IMAGE: usize = 512;

/// The name of an image, cut.
pub(crate) fn shortened(image: &str) -> Cow<'_, str> {
    match image.char_indices().nth(LONGEST_IMAGE) {
        Some((end, _)) => {
            let start = image.get(..end).unwrap_or_default();
            Cow::Owned(format!("{start}…"))
        }
        None => Cow::Borrowed(image),
    }
}

/// A text without control characters and what changes the direction of text, at most so many characters of it.
pub(crate) struct Visible<'a>(pub(crate) &'a str, pub(crate) usize);

impl fmt::Display for Visible<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(text, longest) = self;
        let mut letters = text.chars();
        for letter in letters.by_ref().take(longest.saturating_sub(1)) {
            formatter.write_char(shown(letter))?;
        }
        match (letters.next(), letters.next()) {
            (None, _) => Ok(()),
            (Some(last), None) => formatter.write_char(shown(last)),
            (Some(_), Some(_)) => formatter.write_char('…'),
        }
    }
}

/// A text as HTML shows it, in an element or between quotes.
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

/// The beginning of a digest, as people compare them.
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
        assert_eq!(shortened(&"a".repeat(600)).chars().count(), 513);
        assert_eq!(shortened("ghcr.io/team/web:main"), "ghcr.io/team/web:main");
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
