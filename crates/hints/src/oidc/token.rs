//! JSON Web Tokens in their compact form (<https://www.rfc-editor.org/rfc/rfc7515#section-7.1>).

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::{TokenError, claims::Claims};

/// The longest token, in bytes. Those of CI jobs have one or two thousand.
const MAX_LENGTH: usize = 16 << 10;

/// The accepted algorithms, none of them with a shared key
/// (<https://www.rfc-editor.org/rfc/rfc8725#section-3.1>).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Algorithm {
    Rs256,
    Es256,
}

/// A parsed token that is not verified yet.
pub(super) struct Token<'a> {
    pub(super) algorithm: Algorithm,
    /// The name of the key.
    pub(super) kid: String,
    pub(super) claims: Claims,
    /// The signed part.
    pub(super) message: &'a [u8],
    pub(super) signature: Vec<u8>,
}

impl<'a> Token<'a> {
    pub(super) fn parse(text: &'a str) -> Result<Self, TokenError> {
        if text.len() > MAX_LENGTH {
            return Err(TokenError::Form);
        }
        let (message, signature) = text.rsplit_once('.').ok_or(TokenError::Form)?;
        let (header, claims) = message.split_once('.').ok_or(TokenError::Form)?;
        let header: Map<String, Value> = decode(header)?;
        let text = |name| header.get(name).and_then(Value::as_str);
        let algorithm = match text("alg") {
            Some("RS256") => Algorithm::Rs256,
            Some("ES256") => Algorithm::Es256,
            _ => return Err(TokenError::Algorithm),
        };
        if header.contains_key("crit") {
            return Err(TokenError::Critical);
        }
        Ok(Self {
            algorithm,
            kid: text("kid").ok_or(TokenError::NoKey)?.to_owned(),
            claims: decode(claims)?,
            message: message.as_bytes(),
            signature: URL_SAFE_NO_PAD
                .decode(signature)
                .map_err(|_| TokenError::Form)?,
        })
    }
}

fn decode<T: DeserializeOwned>(part: &str) -> Result<T, TokenError> {
    let json = URL_SAFE_NO_PAD.decode(part);
    let json = json.map_err(|_| TokenError::Form)?;
    serde_json::from_slice(&json).map_err(|_| TokenError::Form)
}
