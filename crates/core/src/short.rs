//! Abbreviated digests and commits.

use crate::Digest;

/// Characters that are enough to tell digests or commits apart.
const LENGTH: usize = 12;

/// The first characters of a hexadecimal digest, or of a revision, which need not be a commit.
pub fn prefix(text: &str) -> &str {
    let end = text.char_indices().nth(LENGTH).map(|(end, _)| end);
    end.and_then(|end| text.get(..end)).unwrap_or(text)
}

/// A digest as `sha256:0123456789ab`.
pub fn digest(digest: &Digest) -> String {
    format!("{}:{}", digest.algorithm(), prefix(digest.digest()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_twelve_characters_are_shown() {
        let hexadecimal = "0123456789abcdef".repeat(4);
        assert_eq!(prefix(&hexadecimal), "0123456789ab");
        assert_eq!(prefix("ab"), "ab");
        assert_eq!(prefix(&"ä".repeat(13)), "ä".repeat(12));
        let whole: Digest = format!("sha256:{hexadecimal}").parse().expect("a digest");
        assert_eq!(digest(&whole), "sha256:0123456789ab");
    }
}
