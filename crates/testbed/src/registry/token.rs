//! Tokens as the distribution registry verifies them
//! (<https://distribution.github.io/distribution/spec/auth/jwt/>): ES256, the key named by `kid` in a key set.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jiff::Timestamp;
use rcgen::KeyPair;
use ring::{
    error::{KeyRejected, Unspecified},
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair},
};
use serde_json::{Value, json};

/// `iss` of the tokens and `issuer` of the registry's settings.
pub(super) const ISSUER: &str = "testbed-issuer";

/// `aud` of the tokens and `service` of the registry's settings.
pub(super) const SERVICE: &str = "testbed-registry";

const KEY_ID: &str = "testbed";

/// Signs tokens.
pub(super) struct Signer {
    key: EcdsaKeyPair,
    random: SystemRandom,
}

/// The claims of a token.
pub(super) struct Claims {
    pub(super) subject: String,
    /// A list of `{type, name, actions}`.
    pub(super) access: Value,
    pub(super) issued: Timestamp,
    pub(super) lifetime: Duration,
    /// Makes each token another.
    pub(super) number: u64,
}

impl Signer {
    pub(super) fn new(key: &KeyPair) -> Result<Self, KeyRejected> {
        let (random, algorithm) = (SystemRandom::new(), &ECDSA_P256_SHA256_FIXED_SIGNING);
        let key = EcdsaKeyPair::from_pkcs8(algorithm, &key.serialize_der(), &random)?;
        Ok(Self { key, random })
    }

    /// A signed JSON Web Token.
    pub(super) fn sign(&self, claims: &Claims) -> Result<String, Unspecified> {
        let header = json!({"alg": "ES256", "typ": "JWT", "kid": KEY_ID});
        let issued = claims.issued.as_second();
        let lifetime = i64::try_from(claims.lifetime.as_secs()).unwrap_or(i64::MAX);
        let body = json!({
            "iss": ISSUER,
            "sub": claims.subject,
            "aud": SERVICE,
            "iat": issued,
            "nbf": issued,
            "exp": issued.saturating_add(lifetime),
            "jti": claims.number.to_string(),
            "access": claims.access,
        });
        let encode = |part: Value| URL_SAFE_NO_PAD.encode(part.to_string());
        let content = format!("{}.{}", encode(header), encode(body));
        let signature = self.key.sign(&self.random, content.as_bytes())?;
        Ok(format!("{content}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }
}

/// The public half as a JSON Web Key Set, for the registry's `jwks` setting.
pub(super) fn key_set(key: &KeyPair) -> String {
    // An uncompressed point is 0x04, then x and y of 32 bytes each (SEC 1, 2.3.3)
    let coordinates = key.public_key_raw().get(1..).unwrap_or_default();
    let (x, y) = coordinates.split_at(coordinates.len() / 2);
    let key = json!({
        "kty": "EC",
        "crv": "P-256",
        "use": "sig",
        "alg": "ES256",
        "kid": KEY_ID,
        "x": URL_SAFE_NO_PAD.encode(x),
        "y": URL_SAFE_NO_PAD.encode(y),
    });
    json!({"keys": [key]}).to_string()
}
