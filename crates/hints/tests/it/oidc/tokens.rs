//! What a token must be.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use kube_autorollout_hints::oidc::TokenError;
use ring::hmac;
use serde_json::{Value, json};

use super::given::{ISSUER, NOW, World, claims, encode, key_set, sign, sign_with_header};

#[test]
fn tokens_of_both_algorithms_are_accepted() {
    let mut world = World::new();
    for algorithm in ["RS256", "ES256"] {
        let header = json!({ "alg": algorithm, "kid": algorithm });
        let token = sign_with_header(&header, &claims());
        let identity = world.check(&token).expect("accepted");
        assert_eq!(
            identity.subject.as_deref(),
            Some("repo:team/web:ref:refs/heads/main")
        );
    }
    assert_eq!(world.fetched, 1);
}

#[test]
fn each_claim_that_is_not_as_configured_is_refused() {
    let claim = |name: &str| TokenError::Claim(name.to_owned());
    let cases = [
        (
            "iss",
            json!("https://issuer.example.org"),
            TokenError::Issuer,
        ),
        ("iss", json!(format!("{ISSUER}/")), TokenError::Issuer),
        ("iss", json!([ISSUER]), TokenError::Issuer),
        ("iss", json!(null), TokenError::Issuer),
        ("aud", json!("another"), TokenError::Audience),
        ("aud", json!(["another"]), TokenError::Audience),
        ("aud", json!([]), TokenError::Audience),
        ("aud", json!(null), TokenError::Audience),
        (
            "aud",
            json!({ "kube-autorollout": true }),
            TokenError::Audience,
        ),
        ("exp", json!(NOW - 60), TokenError::Expired),
        ("exp", json!(NOW - 3600), TokenError::Expired),
        ("exp", json!("never"), TokenError::Form),
        ("nbf", json!(NOW + 61), TokenError::NotYetValid),
        ("nbf", json!("soon"), TokenError::Form),
        ("iat", json!(NOW + 61), TokenError::NotYetValid),
        ("repository_owner", json!("Team"), claim("repository_owner")),
        (
            "repository_owner",
            json!("team2"),
            claim("repository_owner"),
        ),
        (
            "repository_owner",
            json!(["team"]),
            claim("repository_owner"),
        ),
        ("repository_owner", json!(null), claim("repository_owner")),
        ("ref_protected", json!(false), claim("ref_protected")),
        ("owner_id", json!(70), claim("owner_id")),
    ];
    for (name, value, error) in cases {
        let mut changed = claims();
        changed[name] = value.clone();
        let refused = World::new().check(&sign(&changed));
        assert_eq!(refused, Err(error), "{name}: {value}");
    }
}

#[test]
fn a_claim_that_is_missing_is_refused_but_for_the_optional_times() {
    for (name, error) in [
        ("iss", Some(TokenError::Issuer)),
        ("aud", Some(TokenError::Audience)),
        ("exp", Some(TokenError::Expired)),
        ("nbf", None),
        ("iat", None),
        ("sub", None),
        (
            "repository_owner",
            Some(TokenError::Claim("repository_owner".to_owned())),
        ),
    ] {
        let mut changed = claims();
        changed.as_object_mut().expect("an object").remove(name);
        let checked = World::new().check(&sign(&changed)).map(drop);
        assert_eq!(checked, error.map_or(Ok(()), Err), "{name}");
    }
}

#[test]
fn two_clocks_may_be_a_minute_apart_and_audiences_several() {
    for (name, value) in [
        ("exp", json!(NOW - 59)),
        ("exp", json!(1_767_225_541.5)),
        ("nbf", json!(NOW + 60)),
        ("iat", json!(NOW + 60)),
        ("aud", json!(["another", "kube-autorollout"])),
        ("owner_id", json!("7")),
        ("ref_protected", json!("true")),
    ] {
        let mut changed = claims();
        changed[name] = value.clone();
        let checked = World::new().check(&sign(&changed));
        assert!(checked.is_ok(), "{name}: {value}: {checked:?}");
    }
}

/// HS256 with what everybody knows as the secret: the key of the issuer.
fn sign_with_public_key(claims: &Value) -> String {
    let header = json!({ "alg": "HS256", "kid": "RS256" });
    let message = format!("{}.{}", encode(&header), encode(claims));
    let n = key_set()["keys"][0]["n"].to_string();
    let key = hmac::Key::new(hmac::HMAC_SHA256, n.as_bytes());
    let signature = hmac::sign(&key, message.as_bytes());
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
}

#[test]
fn other_algorithms_are_refused_before_any_key_is_fetched() {
    let mut world = World::new();
    let unsigned = |algorithm: &str| {
        let header = json!({ "alg": algorithm, "kid": "RS256" });
        format!("{}.{}.", encode(&header), encode(&claims()))
    };
    for token in [
        unsigned("none"),
        unsigned("None"),
        unsigned(""),
        sign_with_public_key(&claims()),
        sign_with_header(&json!({ "alg": "RS512", "kid": "RS256" }), &claims()),
        sign_with_header(&json!({ "alg": "rs256", "kid": "RS256" }), &claims()),
        sign_with_header(&json!({ "alg": "PS256", "kid": "RS256" }), &claims()),
    ] {
        assert_eq!(world.check(&token), Err(TokenError::Algorithm));
    }
    assert_eq!(world.fetched, 0);
}

#[test]
fn a_key_is_used_for_its_own_algorithm_only() {
    for (algorithm, kid) in [("RS256", "ES256"), ("ES256", "RS256")] {
        let header = json!({ "alg": algorithm, "kid": kid });
        let refused = World::new().check(&sign_with_header(&header, &claims()));
        assert_eq!(refused, Err(TokenError::UnknownKey));
    }
}

#[test]
fn a_token_that_was_changed_is_refused() {
    let mut world = World::new();
    let token = sign(&claims());
    let mut richer = claims();
    richer["sub"] = json!("repo:team/other");
    let parts: Vec<_> = token.split('.').collect();
    let forged = format!("{}.{}.{}", parts[0], encode(&richer), parts[2]);
    assert_eq!(world.check(&forged), Err(TokenError::Signature));
    let unsigned = format!("{}.{}.", parts[0], parts[1]);
    assert_eq!(world.check(&unsigned), Err(TokenError::Signature));
    let header = json!({ "alg": "RS256", "kid": "RS256", "typ": "changed" });
    let other = format!("{}.{}.{}", encode(&header), parts[1], parts[2]);
    assert_eq!(world.check(&other), Err(TokenError::Signature));
    assert!(world.check(&token).is_ok());
}

#[test]
fn malformed_tokens_are_rejected_and_not_repeated() {
    let mut world = World::new();
    let good = sign(&claims());
    let array = format!(
        "{}.{}.",
        encode(&json!({ "alg": "RS256", "kid": "RS256" })),
        encode(&json!([]))
    );
    let list = json!(["RS256", "RS256"]);
    let list = format!("{}.{}.", encode(&list), encode(&claims()));
    let padded = format!("{good}==");
    let long = format!("{good}{}", "A".repeat(20_000));
    for token in [
        "",
        ".",
        "..",
        "...",
        "a.b.c",
        "hunter2",
        &array,
        &list,
        &padded,
        &long,
        &format!("x{good}"),
    ] {
        let error = world.check(token).expect_err("refused");
        assert_eq!(error, TokenError::Form, "{token}");
        assert!(!error.to_string().contains("hunter2"));
    }
    let no_key = sign_with_header(&json!({ "alg": "RS256" }), &claims());
    assert_eq!(world.check(&no_key), Err(TokenError::NoKey));
    let critical = json!({ "alg": "RS256", "kid": "RS256", "crit": ["b64"], "b64": false });
    let critical = sign_with_header(&critical, &claims());
    assert_eq!(world.check(&critical), Err(TokenError::Critical));
    assert_eq!(world.fetched, 0);
}

#[test]
fn a_subject_that_cannot_be_shown_is_left_out() {
    for subject in [json!("a\nb"), json!("a".repeat(257)), json!(7)] {
        let mut changed = claims();
        changed["sub"] = subject;
        let identity = World::new().check(&sign(&changed)).expect("accepted");
        assert_eq!(identity.subject, None);
    }
}
