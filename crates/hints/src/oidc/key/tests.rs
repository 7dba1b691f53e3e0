//! The vectors of <https://www.rfc-editor.org/rfc/rfc7515#appendix-A.2> and A.3, with the private keys that they give.

use serde_json::{Value, json};

use super::*;

fn vectors() -> Value {
    serde_json::from_str(include_str!("../rfc7515.json")).expect("JSON")
}

fn key(jwk: &Value) -> Option<Key> {
    let mut jwk = jwk.clone();
    jwk["kid"] = json!("2011-04-29");
    let set: KeySet = serde_json::from_value(json!({ "keys": [jwk] })).expect("keys");
    set.keys.into_iter().next()
}

/// Their headers name no key, so they are no tokens of an issuer.
fn parts(token: &str) -> (&[u8], Vec<u8>) {
    let (message, signature) = token.rsplit_once('.').expect("three parts");
    let signature = URL_SAFE_NO_PAD.decode(signature).expect("Base64");
    (message.as_bytes(), signature)
}

#[test]
fn the_published_signatures_are_right_and_every_changed_bit_is_wrong() {
    let vectors = vectors();
    for algorithm in ["RS256", "ES256"] {
        let key = key(&vectors[algorithm]["jwk"]).expect("a key");
        let token = vectors[algorithm]["token"].as_str().expect("a token");
        let (message, signature) = parts(token);
        assert!(key.is_signed(message, &signature), "{algorithm}");
        for at in 0..signature.len() {
            let mut changed = signature.clone();
            changed[at] ^= 1;
            assert!(!key.is_signed(message, &changed), "{algorithm}, {at}");
        }
        let mut changed = message.to_vec();
        changed[30] ^= 1;
        assert!(!key.is_signed(&changed, &signature), "{algorithm}");
        let (_, shortened) = signature.split_at(1);
        assert!(!key.is_signed(message, shortened), "{algorithm}");
        assert!(!key.is_signed(message, &[]), "{algorithm}");
    }
}

#[test]
fn a_number_may_begin_with_zeros() {
    let vectors = vectors();
    let (message, signature) = parts(vectors["RS256"]["token"].as_str().expect("a token"));
    let mut padded = vectors["RS256"]["jwk"].clone();
    for name in ["n", "e"] {
        let number = padded[name].as_str().expect("a number");
        let number = URL_SAFE_NO_PAD.decode(number).expect("Base64");
        padded[name] = json!(URL_SAFE_NO_PAD.encode([&[0, 0], &*number].concat()));
    }
    let key = key(&padded).expect("a key");
    assert!(key.is_signed(message, &signature));
}

#[test]
fn keys_for_other_purposes_are_left_out() {
    let vectors = vectors();
    let rsa = &vectors["RS256"]["jwk"];
    let ec = &vectors["ES256"]["jwk"];
    let with = |jwk: &Value, name: &str, value: Value| {
        let mut jwk = jwk.clone();
        jwk[name] = value;
        key(&jwk).is_some()
    };
    assert!(with(rsa, "alg", json!("RS256")));
    assert!(with(rsa, "use", json!("sig")));
    assert!(with(ec, "alg", json!("ES256")));
    assert!(!with(rsa, "use", json!("enc")));
    assert!(!with(rsa, "alg", json!("RS512")));
    assert!(!with(rsa, "alg", json!("ES256")));
    assert!(!with(rsa, "kty", json!("oct")));
    assert!(!with(rsa, "n", json!(null)));
    assert!(!with(rsa, "n", json!("not=Base64")));
    assert!(!with(ec, "crv", json!("P-384")));
    assert!(!with(ec, "alg", json!("RS256")));
    assert!(!with(ec, "x", json!("AAAA")));
}

#[test]
fn an_invalid_key_does_not_invalidate_others() {
    let vectors = vectors();
    let mut good = vectors["RS256"]["jwk"].clone();
    good["kid"] = json!("good");
    let keys = json!({ "keys": [7, {}, { "kty": "OKP" }, { "kty": 7 }, good] });
    let set: KeySet = serde_json::from_value(keys).expect("keys");
    assert_eq!(set.keys.len(), 1);
    assert_eq!(format!("{:?}", set.keys[0]), "Key(\"good\")");
}

#[test]
fn an_rsa_key_that_is_too_short_signs_nothing() {
    let vectors = vectors();
    let (message, signature) = parts(vectors["RS256"]["token"].as_str().expect("a token"));
    let mut short = vectors["RS256"]["jwk"].clone();
    short["n"] = json!(URL_SAFE_NO_PAD.encode([0xff; 128]));
    let key = key(&short).expect("a key");
    assert!(!key.is_signed(message, &signature[..128]));
}
