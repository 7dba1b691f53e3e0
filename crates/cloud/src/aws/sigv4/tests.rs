//! The published test suite, as far as its requests are like ours: to `/`, without a query
//! (<https://github.com/awslabs/aws-c-auth/tree/main/tests/aws-signing-test-suite/v4>, Apache-2.0).

use serde::Deserialize;

use super::*;

/// One case of the suite.
#[derive(Deserialize)]
struct Case {
    name: String,
    method: String,
    headers: Vec<(String, String)>,
    body: String,
    token: Option<String>,
    canonical_request: String,
    signature: String,
}

fn cases() -> Vec<Case> {
    serde_json::from_str(include_str!("vectors.json")).expect("the suite")
}

#[test]
fn requests_are_signed_as_the_published_test_suite_has_them() {
    let cases = cases();
    assert_eq!(cases.len(), 14);
    for case in cases {
        let keys = Keys {
            access_key_id: "AKIDEXAMPLE".to_owned(),
            secret_access_key: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".to_owned(),
            session_token: case.token,
        };
        let scope = Scope {
            region: "us-east-1",
            service: "service",
            now: "2015-08-30T12:36:00Z".parse().expect("an instant"),
        };
        let request = |headers| Unsigned {
            method: &case.method,
            path: "/",
            headers,
            body: case.body.as_bytes(),
        };
        let added = sign(&keys, &scope, request(case.headers.clone()));
        let mut all = case.headers.clone();
        all.extend(
            added
                .iter()
                .filter(|(name, _)| name != "authorization")
                .cloned(),
        );
        let (canonical, _) = canonical(&request(all));
        assert_eq!(canonical, case.canonical_request, "{}", case.name);
        let (_, authorization) = added.last().expect("the signature");
        let expected = format!("Signature={}", case.signature);
        assert!(
            authorization.ends_with(&expected),
            "{}: {authorization}",
            case.name
        );
        assert!(authorization.starts_with(
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders="
        ));
    }
}

#[test]
fn keys_are_not_shown() {
    let keys = Keys {
        access_key_id: "planted".to_owned(),
        secret_access_key: "planted".to_owned(),
        session_token: Some("planted".to_owned()),
    };
    assert!(!format!("{keys:?}").contains("planted"));
}
