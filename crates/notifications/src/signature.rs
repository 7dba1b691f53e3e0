//! Signatures of messages.

use std::fmt;

use ring::hmac;

use crate::notice::hexadecimal;

/// The header of the signature.
pub const SIGNATURE_HEADER: &str = "X-Signature-256";

/// The key that signs messages, redacted in `Debug`.
#[derive(Clone)]
pub struct SigningKey(hmac::Key);

/// An empty key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the key is empty")]
pub struct EmptyKey;

impl SigningKey {
    /// Reads the content of a file, without a line break at its end.
    ///
    /// # Errors
    ///
    /// [`EmptyKey`] if nothing remains.
    pub fn new(content: &[u8]) -> Result<Self, EmptyKey> {
        let key = content.strip_suffix(b"\n").unwrap_or(content);
        let key = key.strip_suffix(b"\r").unwrap_or(key);
        if key.is_empty() {
            return Err(EmptyKey);
        }
        Ok(Self(hmac::Key::new(hmac::HMAC_SHA256, key)))
    }

    /// `sha256=` and the HMAC-SHA256 of the body in hexadecimal digits, as GitHub signs its webhooks
    /// (<https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries>).
    pub fn sign(&self, body: &[u8]) -> String {
        let tag = hmac::sign(&self.0, body);
        format!("sha256={}", hexadecimal(tag.as_ref()))
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("[redacted]")
    }
}
