//! Signatures in headers: HMAC-SHA256 in hexadecimal digits.

use super::Unauthenticated;

/// The length of SHA-256, in bytes.
const LENGTH: usize = 32;

/// An unverified signature.
pub(super) struct Signature([u8; LENGTH]);

impl Signature {
    /// Parses digits after `sha256=`.
    pub(super) fn prefixed(text: &[u8], header: &'static str) -> Result<Self, Unauthenticated> {
        let digits = text.strip_prefix(b"sha256=");
        Self::plain(digits.ok_or(Unauthenticated::Form(header))?, header)
    }

    /// Parses digits without a prefix.
    pub(super) fn plain(digits: &[u8], header: &'static str) -> Result<Self, Unauthenticated> {
        decode(digits)
            .map(Self)
            .ok_or(Unauthenticated::Form(header))
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

fn decode(digits: &[u8]) -> Option<[u8; LENGTH]> {
    let digit = |byte: &u8| {
        char::from(*byte)
            .to_digit(16)
            .and_then(|digit| u8::try_from(digit).ok())
    };
    let (pairs, rest) = digits.as_chunks::<2>();
    let bytes: Option<Vec<u8>> = pairs
        .iter()
        .map(|[high, low]| Some(digit(high)? << 4 | digit(low)?))
        .collect();
    let bytes = bytes.filter(|_| rest.is_empty())?;
    bytes.try_into().ok()
}
