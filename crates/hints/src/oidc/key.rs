//! Public keys (<https://www.rfc-editor.org/rfc/rfc7517>, <https://www.rfc-editor.org/rfc/rfc7518#section-6>).

use std::fmt;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey,
};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::token::{Algorithm, Token};

/// The length of a coordinate on the curve P-256, in bytes.
const COORDINATE: usize = 32;

/// The first byte of a point that is not compressed.
const UNCOMPRESSED: u8 = 4;

/// A public key that verifies tokens, with its name.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Key {
    kid: String,
    material: Material,
}

#[derive(Clone, PartialEq, Eq)]
enum Material {
    Rsa { n: Vec<u8>, e: Vec<u8> },
    P256(Vec<u8>),
}

/// A set of keys, without unsupported ones.
#[derive(Deserialize)]
pub(super) struct KeySet {
    #[serde(deserialize_with = "usable")]
    pub(super) keys: Vec<Key>,
}

#[derive(Deserialize)]
struct Jwk {
    kty: String,
    kid: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
    alg: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

/// Skips keys of other, perhaps future, kinds.
fn usable<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Key>, D::Error> {
    let all = Vec::<Value>::deserialize(deserializer)?;
    let keys = all.into_iter();
    let keys = keys.filter_map(|value| Key::read(Jwk::deserialize(value).ok()?));
    Ok(keys.collect())
}

impl Key {
    fn read(jwk: Jwk) -> Option<Self> {
        let is_for = |algorithm: &str| jwk.alg.as_deref().is_none_or(|alg| alg == algorithm);
        if jwk.usage.as_deref().is_some_and(|usage| usage != "sig") {
            return None;
        }
        let material = match (&*jwk.kty, jwk.crv.as_deref()) {
            ("RSA", _) if is_for("RS256") => Material::Rsa {
                n: number(jwk.n.as_deref()?)?,
                e: number(jwk.e.as_deref()?)?,
            },
            ("EC", Some("P-256")) if is_for("ES256") => {
                let mut point = vec![UNCOMPRESSED];
                for coordinate in [jwk.x.as_deref()?, jwk.y.as_deref()?] {
                    let bytes = URL_SAFE_NO_PAD.decode(coordinate).ok()?;
                    point.extend((bytes.len() == COORDINATE).then_some(bytes)?);
                }
                Material::P256(point)
            }
            _ => return None,
        };
        Some(Self {
            kid: jwk.kid?,
            material,
        })
    }

    /// Whether it has the name and algorithm of a token.
    pub(super) fn matches(&self, token: &Token<'_>) -> bool {
        let algorithm = match self.material {
            Material::Rsa { .. } => Algorithm::Rs256,
            Material::P256(_) => Algorithm::Es256,
        };
        self.kid == token.kid && algorithm == token.algorithm
    }

    pub(super) fn verifies(&self, token: &Token<'_>) -> bool {
        self.is_signed(token.message, &token.signature)
    }

    fn is_signed(&self, message: &[u8], signature: &[u8]) -> bool {
        let verified = match &self.material {
            Material::Rsa { n, e } => RsaPublicKeyComponents { n, e }.verify(
                &RSA_PKCS1_2048_8192_SHA256,
                message,
                signature,
            ),
            Material::P256(point) => {
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(message, signature)
            }
        };
        verified.is_ok()
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Key({:?})", self.kid)
    }
}

/// Decodes a number and strips leading zeros, as ring requires.
fn number(text: &str) -> Option<Vec<u8>> {
    let mut bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    bytes.drain(..zeros);
    Some(bytes)
}

#[cfg(test)]
mod tests;
