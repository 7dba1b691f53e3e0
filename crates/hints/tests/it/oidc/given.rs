//! An issuer, as the tests need it.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jiff::Timestamp;
use kube_autorollout_hints::{
    Receiver, ReceiverSettings, Sender,
    oidc::{Check, DEFAULT_AUDIENCE, DocumentError, Identity, OidcSettings, TokenError, Verifier},
    receivers,
};
use ring::{
    rand::SystemRandom,
    rsa::KeyPairComponents,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, RSA_PKCS1_SHA256, RsaKeyPair},
};
use serde_json::{Value, json};

pub(crate) const ISSUER: &str = "https://issuer.example.org/ci";

/// Seconds since 1970, at which all tokens are checked.
pub(crate) const NOW: i64 = 1_767_225_600;

pub(crate) fn settings() -> OidcSettings {
    let claims = [
        ("repository_owner", "team"),
        ("ref_protected", "true"),
        ("owner_id", "7"),
    ];
    let claims = claims.map(|(name, value)| (name.to_owned(), value.to_owned()));
    OidcSettings {
        issuer: ISSUER.to_owned(),
        audience: DEFAULT_AUDIENCE.to_owned(),
        claims: BTreeMap::from(claims),
    }
}

/// A receiver that takes tokens.
pub(crate) fn receiver() -> Receiver {
    let mut settings = ReceiverSettings::new("ci", Sender::Generic);
    settings.oidc = Some(self::settings());
    receivers(vec![settings]).expect("no mistakes").remove(0)
}

/// The claims of a token that is accepted.
pub(crate) fn claims() -> Value {
    json!({
        "iss": ISSUER,
        "aud": DEFAULT_AUDIENCE,
        "exp": NOW + 300,
        "nbf": NOW - 5,
        "iat": NOW - 5,
        "sub": "repo:team/web:ref:refs/heads/main",
        "repository_owner": "team",
        "ref_protected": true,
        "owner_id": 7,
    })
}

fn vectors() -> Value {
    serde_json::from_str(include_str!("../../../src/oidc/rfc7515.json")).expect("JSON")
}

/// The public keys, named after their algorithms.
pub(crate) fn key_set() -> Value {
    let keys = ["RS256", "ES256"].map(|algorithm| {
        let mut key = vectors()[algorithm]["jwk"].clone();
        let members = key.as_object_mut().expect("a key");
        members.retain(|name, _| ["kty", "crv", "n", "e", "x", "y"].contains(&&**name));
        key["kid"] = json!(algorithm);
        key["use"] = json!("sig");
        key
    });
    json!({ "keys": keys })
}

pub(crate) fn encode(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

/// A token with this header, signed as its algorithm says.
pub(crate) fn sign_with_header(header: &Value, claims: &Value) -> String {
    let message = format!("{}.{}", encode(header), encode(claims));
    let signature = match header["alg"].as_str() {
        Some("ES256") => sign_es256(message.as_bytes()),
        _ => sign_rs256(message.as_bytes()),
    };
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
}

pub(crate) fn sign(claims: &Value) -> String {
    sign_with_header(
        &json!({ "alg": "RS256", "typ": "JWT", "kid": "RS256" }),
        claims,
    )
}

fn sign_rs256(message: &[u8]) -> Vec<u8> {
    let jwk = &vectors()["RS256"]["jwk"];
    let part = |name: &str| {
        let text = jwk[name].as_str().expect("a number");
        URL_SAFE_NO_PAD.decode(text).expect("Base64")
    };
    let components = KeyPairComponents {
        public_key: ring::rsa::PublicKeyComponents {
            n: part("n"),
            e: part("e"),
        },
        d: part("d"),
        p: part("p"),
        q: part("q"),
        dP: part("dp"),
        dQ: part("dq"),
        qInv: part("qi"),
    };
    let pair = RsaKeyPair::from_components(&components).expect("a key");
    let mut signature = vec![0; pair.public().modulus_len()];
    let signed = pair.sign(
        &RSA_PKCS1_SHA256,
        &SystemRandom::new(),
        message,
        &mut signature,
    );
    signed.expect("signed");
    signature
}

fn sign_es256(message: &[u8]) -> Vec<u8> {
    let jwk = &vectors()["ES256"]["jwk"];
    let part = |name: &str| {
        let text = jwk[name].as_str().expect("a number");
        URL_SAFE_NO_PAD.decode(text).expect("Base64")
    };
    let public = [vec![4], part("x"), part("y")].concat();
    let random = SystemRandom::new();
    let pair = EcdsaKeyPair::from_private_key_and_public_key(
        &ECDSA_P256_SHA256_FIXED_SIGNING,
        &part("d"),
        &public,
        &random,
    );
    let signature = pair.expect("a key").sign(&random, message);
    signature.expect("signed").as_ref().to_vec()
}

pub(crate) fn discovery() -> Value {
    json!({ "issuer": ISSUER, "jwks_uri": "https://keys.example.org/jwks" })
}

/// An issuer that counts how often its keys were fetched, and the verifier that asks it.
pub(crate) struct World {
    pub(crate) verifier: Verifier,
    pub(crate) start: Instant,
    pub(crate) discovery: Option<Value>,
    pub(crate) keys: Option<Value>,
    pub(crate) fetched: usize,
    pub(crate) error: Option<DocumentError>,
}

impl World {
    pub(crate) fn new() -> Self {
        Self {
            verifier: Verifier::new(settings()),
            start: Instant::now(),
            discovery: Some(discovery()),
            keys: Some(key_set()),
            fetched: 0,
            error: None,
        }
    }

    /// Checks a token so many seconds after the start.
    pub(crate) fn check_at(&mut self, seconds: u64, token: &str) -> Result<Identity, TokenError> {
        let instant = self.start + Duration::from_secs(seconds);
        let now = Timestamp::from_second(NOW).expect("in range");
        loop {
            let mut next = match self.verifier.check(token, instant, now)? {
                Check::Accepted(identity) => return Ok(identity),
                Check::Wait => panic!("nobody else fetches"),
                Check::Fetch(fetch) => Some(fetch),
            };
            self.fetched += 1;
            while let Some(fetch) = next {
                let document = match fetch.url() {
                    "https://issuer.example.org/ci/.well-known/openid-configuration" => {
                        &self.discovery
                    }
                    "https://keys.example.org/jwks" => &self.keys,
                    other => panic!("{other}"),
                };
                let body = document.as_ref().map(|it| it.to_string().into_bytes());
                let read = self.verifier.fetched(&fetch, body.as_deref(), instant);
                self.error = read.as_ref().err().copied();
                next = read.unwrap_or(None);
            }
        }
    }

    pub(crate) fn check(&mut self, token: &str) -> Result<Identity, TokenError> {
        self.check_at(0, token)
    }
}
