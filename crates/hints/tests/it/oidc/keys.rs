//! When the keys of the issuer are fetched.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use kube_autorollout_hints::oidc::{Check, DocumentError, MAX_DOCUMENT, TokenError, Verifier};
use serde_json::{Value, json};

use super::given::{
    ISSUER, NOW, World, claims, discovery, key_set, settings, sign, sign_with_header,
};

const HOUR: u64 = 60 * 60;

/// The keys, of which the first has another name.
fn rotated() -> Value {
    let mut keys = key_set();
    keys["keys"][0]["kid"] = json!("next");
    keys
}

fn sign_as_next() -> String {
    sign_with_header(&json!({ "alg": "RS256", "kid": "next" }), &claims())
}

#[test]
fn keys_are_cached_for_an_hour() {
    let mut world = World::new();
    let token = sign(&claims());
    for (seconds, fetched) in [(0, 1), (1, 1), (HOUR - 1, 1), (HOUR, 2), (2 * HOUR - 1, 2)] {
        assert!(world.check_at(seconds, &token).is_ok(), "{seconds}");
        assert_eq!(world.fetched, fetched, "{seconds}");
    }
}

#[test]
fn a_key_that_is_new_is_fetched_at_most_once_a_minute() {
    let mut world = World::new();
    assert!(world.check(&sign(&claims())).is_ok());
    world.keys = Some(rotated());
    let token = sign_as_next();
    assert_eq!(world.check_at(59, &token), Err(TokenError::UnknownKey));
    assert_eq!(world.fetched, 1);
    assert!(world.check_at(60, &token).is_ok());
    assert_eq!(world.fetched, 2);
    assert_eq!(
        world.check_at(61, &sign(&claims())),
        Err(TokenError::UnknownKey)
    );
    assert_eq!(world.fetched, 2);
}

#[test]
fn a_withdrawn_key_is_rejected_after_an_hour() {
    let mut world = World::new();
    assert!(world.check(&sign(&claims())).is_ok());
    world.keys = Some(rotated());
    assert!(world.check_at(HOUR - 1, &sign(&claims())).is_ok());
    let refused = world.check_at(HOUR, &sign(&claims()));
    assert_eq!(refused, Err(TokenError::UnknownKey));
}

#[test]
fn names_that_are_made_up_fetch_keys_once_a_minute() {
    let mut world = World::new();
    assert!(world.check(&sign(&claims())).is_ok());
    for at in 0..120 {
        let header = json!({ "alg": "RS256", "kid": format!("made-up-{at}") });
        assert!(
            world
                .check_at(at, &sign_with_header(&header, &claims()))
                .is_err()
        );
        assert!(world.check_at(at, &sign(&claims())).is_ok());
    }
    assert_eq!(world.fetched, 2);
}

#[test]
fn an_unavailable_issuer_is_retried_after_ten_seconds() {
    let mut world = World::new();
    world.discovery = None;
    let token = sign(&claims());
    for (seconds, fetched) in [(0, 1), (9, 1), (10, 2), (19, 2)] {
        let error = world.check_at(seconds, &token).expect_err("no keys");
        assert_eq!(error, TokenError::KeysUnavailable);
        assert!(error.is_temporary());
        assert_eq!(world.fetched, fetched, "{seconds}");
    }
    world.discovery = Some(discovery());
    assert!(world.check_at(20, &token).is_ok());
    let unknown = world.check_at(21, &sign_as_next());
    assert_eq!(unknown, Err(TokenError::UnknownKey));
}

#[test]
fn the_document_of_an_issuer_that_ends_with_a_slash_is_below_it() {
    let mut settings = settings();
    settings.issuer = format!("{ISSUER}/");
    let mut claims = claims();
    claims["iss"] = json!(settings.issuer);
    let now = Timestamp::from_second(NOW).expect("in range");
    let checked = Verifier::new(settings).check(&sign(&claims), Instant::now(), now);
    let Ok(Check::Fetch(fetch)) = checked else {
        panic!("{checked:?}");
    };
    let expected = format!("{ISSUER}/.well-known/openid-configuration");
    assert_eq!(fetch.url(), expected);
}

#[test]
fn cached_keys_are_used_while_the_issuer_is_unavailable() {
    let mut world = World::new();
    assert!(world.check(&sign(&claims())).is_ok());
    world.keys = None;
    let unknown = world.check_at(60, &sign_as_next());
    assert_eq!(unknown, Err(TokenError::KeysUnavailable));
    assert!(world.check_at(61, &sign(&claims())).is_ok());
    let late = world.check_at(HOUR, &sign(&claims()));
    assert_eq!(late, Err(TokenError::KeysUnavailable));
}

#[test]
fn documents_that_cannot_be_trusted_are_refused() {
    let mut other_issuer = discovery();
    other_issuer["issuer"] = json!("https://issuer.example.org");
    let mut plain = discovery();
    plain["jwks_uri"] = json!("http://keys.example.org/jwks");
    let mut with_user = discovery();
    with_user["jwks_uri"] = json!("https://a:b@keys.example.org/jwks");
    let long = json!({ "issuer": "a".repeat(MAX_DOCUMENT) });
    for (document, error) in [
        (json!({}), DocumentError::Shape),
        (json!([]), DocumentError::Shape),
        (other_issuer, DocumentError::Issuer),
        (plain, DocumentError::Untrustworthy),
        (with_user, DocumentError::Untrustworthy),
        (long, DocumentError::TooLong),
    ] {
        let mut world = World::new();
        world.discovery = Some(document);
        assert_eq!(
            world.check(&sign(&claims())),
            Err(TokenError::KeysUnavailable)
        );
        assert_eq!(world.error, Some(error));
    }
    for (keys, error) in [
        (json!({}), DocumentError::Shape),
        (json!({ "keys": [] }), DocumentError::NoKeys),
        (
            json!({ "keys": [{ "kty": "OKP", "kid": "RS256" }] }),
            DocumentError::NoKeys,
        ),
    ] {
        let mut world = World::new();
        world.keys = Some(keys);
        assert_eq!(
            world.check(&sign(&claims())),
            Err(TokenError::KeysUnavailable)
        );
        assert_eq!(world.error, Some(error));
    }
}

#[test]
fn one_request_fetches_and_others_wait_until_it_ends_or_is_abandoned() {
    let mut world = World::new();
    let token = sign(&claims());
    let now = Timestamp::from_second(NOW).expect("in range");
    let at = |seconds| world.start + Duration::from_secs(seconds);
    let (start, later, gone) = (at(0), at(29), at(30));
    let verifier = &mut world.verifier;
    let first = verifier.check(&token, start, now);
    assert!(matches!(first, Ok(Check::Fetch(_))), "{first:?}");
    assert_eq!(verifier.check(&token, later, now), Ok(Check::Wait));
    let second = verifier.check(&token, gone, now);
    assert!(matches!(second, Ok(Check::Fetch(_))), "{second:?}");
}

#[test]
fn large_sets_of_keys_are_truncated() {
    let mut world = World::new();
    let mut keys = key_set();
    let first = keys["keys"][0].clone();
    let list = keys["keys"].as_array_mut().expect("a list");
    for at in 0..200 {
        let mut key = first.clone();
        key["kid"] = json!(format!("key-{at}"));
        list.push(key);
    }
    world.keys = Some(keys);
    let token = |kid: &str| sign_with_header(&json!({ "alg": "RS256", "kid": kid }), &claims());
    assert!(world.check(&token("key-0")).is_ok());
    assert_eq!(world.check(&token("key-150")), Err(TokenError::UnknownKey));
}
