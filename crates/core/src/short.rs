//! Digests and commits as people compare them.

use crate::Digest;

/// So many characters distinguish a digest or commit from others.
const SHORT: usize = 12;

/// The first characters of the hexadecimal digits of a digest, or of a revision, which need not be a commit.
pub fn start(text: &str) -> &str {
    let end = text.char_indices().nth(SHORT).map(|(end, _)| end);
    end.and_then(|end| text.get(..end)).unwrap_or(text)
}

/// `sha256:0123456789ab`.
pub fn digest(digest: &Digest) -> String {
    format!("{}:{}", digest.algorithm(), start(digest.digest()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_twelve_characters_are_shown() {
        let hexadecimal = "0123456789abcdef".repeat(4);
        assert_eq!(start(&hexadecimal), "0123456789ab");
        assert_eq!(start("ab"), "ab");
        assert_eq!(start(&"ä".repeat(13)), "ä".repeat(12));
        let whole: Digest = format!("sha256:{hexadecimal}").parse().expect("a digest");
        assert_eq!(digest(&whole), "sha256:0123456789ab");
    }
}
