//! The entries of `registries`.

use std::num::NonZeroUsize;

use super::{CERTIFICATE, Given, check_problems};
use crate::config::{Secret, TokenSource};

const DOCKER_CONFIGURATION: &str = r#"{"auths": {}}"#;

#[test]
fn entries_are_read_in_order_with_their_settings() {
    let given = Given::new()
        .file("ca.crt", CERTIFICATE)
        .file(".dockerconfigjson", DOCKER_CONFIGURATION)
        .variable("JFROG_TOKEN", "s3cret")
        .variable("MIRROR", "http://harbor.corp:8080");
    let config = given.config(
        r#"
registries:
  - hostnamePattern: "ghcr.io"
    secret: { type: ImagePullSecret, mountPath: DIR, name: a, key: b }
  - hostnamePattern: "*.artifactory.example.com"
    secret: { type: Opaque, token: "${JFROG_TOKEN}" }
  - hostnamePattern: "registry.internal:5000"
    secret: { type: None }
    caCertificatePaths: [DIR/ca.crt]
    plainHttp: true
    maxConcurrentRequests: 8
  - hostnamePattern: docker.io
    endpoint: "${MIRROR}/docker-hub"
"#,
    );
    let [pull, opaque, none, mirrored] = config.registries.as_slice() else {
        panic!("four entries: {:?}", config.registries);
    };
    assert!(pull.pattern.matches("ghcr.io"));
    let mount_path = given.folder.path().to_owned();
    assert_eq!(pull.secret, Secret::ImagePullSecret { mount_path });
    assert!(!pull.plain_http && pull.ca_certificates.is_empty());
    assert_eq!(pull.max_concurrent_requests, None);

    assert!(opaque.pattern.matches("eu.artifactory.example.com"));
    assert!(matches!(
        &opaque.secret,
        Secret::Opaque { username: None, token: TokenSource::Inline(token) } if token.expose() == "s3cret"
    ));

    assert_eq!(none.secret, Secret::None);
    assert!(none.plain_http);
    assert_eq!(none.ca_certificates[0].path, given.path("ca.crt"));
    assert_eq!(none.ca_certificates[0].pem, CERTIFICATE.as_bytes());
    assert_eq!(none.max_concurrent_requests, NonZeroUsize::new(8));
    assert_eq!(none.endpoint, None);

    let endpoint = mirrored.endpoint.as_ref().map(ToString::to_string);
    assert_eq!(
        endpoint.as_deref(),
        Some("http://harbor.corp:8080/docker-hub")
    );
}

#[test]
fn invalid_endpoints_are_problems_that_do_not_show_them() {
    let table = [
        ("harbor.corp", "a text that is no http or https URL"),
        ("ftp://harbor.corp", "a text that is no http or https URL"),
        (
            "https://a:not-to-be-shown@b.c",
            "a URL with a user name or password, which belong into the credentials",
        ),
        ("https://b.c/?not=to-be-shown", "a URL with a query"),
        ("https://b.c/a#b", "a URL with a fragment"),
        (
            "https://b.c/v2/a",
            "a URL with /v2 in its path, which is put in front of the path when the registry is asked",
        ),
        (
            "https://b.c/A",
            "a URL whose path is not made of lower-case letters, digits, '.', '_' and '-'",
        ),
    ];
    for (endpoint, found) in table {
        let problems = Given::new().problems(&format!(
            "registries: [{{hostnamePattern: x, endpoint: '{endpoint}'}}]"
        ));
        let allowed = "an http or https URL with an optional port and path, such as https://harbor.corp/docker-hub";
        let expected = format!(
            "registries[0].endpoint (in DIR/config.yaml): found {found}; allowed: {allowed}"
        );
        assert_eq!(problems, [expected], "{endpoint}");
    }
}

#[test]
fn the_scheme_of_an_endpoint_overrides_plain_http() {
    let given = Given::new();
    let loaded = given
        .load("registries: [{hostnamePattern: x, endpoint: 'https://y', plainHttp: true}]")
        .expect("a start");
    let file = given.path("config.yaml");
    let expected = format!(
        "registries[0].plainHttp (in {}): is ignored, because the scheme of endpoint applies",
        file.display()
    );
    assert_eq!(loaded.warnings, [expected]);
}

#[test]
fn a_secret_with_a_token_and_no_type_is_opaque() {
    let given = Given::new().file("token", "abc\n");
    let opaque = |text: &str| match given
        .config(&format!(
            "registries: [{{hostnamePattern: x, secret: {text}}}]"
        ))
        .registries
        .remove(0)
        .secret
    {
        Secret::Opaque { username, token } => (username, token),
        other => panic!("{text}: {other:?}"),
    };
    let (username, token) = opaque("{token: abc, username: me}");
    assert_eq!(username.as_deref(), Some("me"));
    assert!(matches!(token, TokenSource::Inline(token) if token.expose() == "abc"));
    let (username, token) = opaque("{tokenFile: DIR/token, username: ''}");
    assert_eq!(
        (username, token),
        (None, TokenSource::File(given.path("token")))
    );
    let (_, token) = opaque("{type: Opaque, tokenFile: DIR/token}");
    assert_eq!(token, TokenSource::File(given.path("token")));
}

#[test]
fn without_a_secret_requests_are_anonymous() {
    let given = Given::new();
    for text in [
        "{hostnamePattern: x}",
        "{hostnamePattern: x, secret: {}}",
        "{hostnamePattern: x, secret: {type: None}}",
    ] {
        let loaded = given.load(&format!("registries: [{text}]")).expect(text);
        assert_eq!(loaded.config.registries[0].secret, Secret::None, "{text}");
        assert!(loaded.warnings.is_empty(), "{text}: {:?}", loaded.warnings);
    }
}

#[test]
fn unused_keys_of_a_secret_are_warnings() {
    let given = Given::new().file(".dockerconfigjson", DOCKER_CONFIGURATION);
    let table = [
        (
            "{type: None, token: not-to-be-shown}",
            ".token",
            "is ignored for this type of secret",
        ),
        (
            "{type: ImagePullSecret, mountPath: DIR, username: me}",
            ".username",
            "is ignored for this type of secret",
        ),
        (
            "{type: Opaque, token: a, mountPath: DIR}",
            ".mountPath",
            "is ignored for this type of secret",
        ),
        (
            "{name: a, key: b}",
            "",
            "has neither a type nor a token: requests are anonymous",
        ),
    ];
    for (text, key, remark) in table {
        let loaded = given
            .load(&format!(
                "registries: [{{hostnamePattern: x, secret: {text}}}]"
            ))
            .expect(text);
        let file = given.path("config.yaml");
        let expected = format!(
            "registries[0].secret{key} (in {}): {remark}",
            file.display()
        );
        assert_eq!(loaded.warnings, [expected]);
    }
}

#[test]
fn invalid_entries_are_problems() {
    check_problems(
        &Given::new(),
        &[
            (
                "registries: [{hostnamePattern: '[a'}, {plainHttp: 2, secret: }, {hostnamePattern: 'https://x/y'}, {}]",
                r#"
                registries[0].hostnamePattern (in DIR/config.yaml): found "[a"; allowed: a glob over host or host:port without a scheme or path, such as ghcr.io or *.example.com
                registries[1].hostnamePattern (in DIR/config.yaml): required; allowed: a glob over host or host:port without a scheme or path, such as ghcr.io or *.example.com
                registries[1].plainHttp (in DIR/config.yaml): found 2; allowed: true or false
                registries[2].hostnamePattern (in DIR/config.yaml): found "https://x/y"; allowed: a glob over host or host:port without a scheme or path, such as ghcr.io or *.example.com
                registries[3].hostnamePattern (in DIR/config.yaml): required; allowed: a glob over host or host:port without a scheme or path, such as ghcr.io or *.example.com
                "#,
            ),
            ("registries: ghcr.io", "registries (in DIR/config.yaml): found a string; allowed: a list"),
            ("registries: [[ghcr.io]]", "registries[0] (in DIR/config.yaml): found a list; allowed: a mapping"),
            ("registries: [ghcr.io]", "registries[0] (in DIR/config.yaml): found a string; allowed: a mapping"),
            (
                "registries: [{hostnamePattern: x, maxConcurrentRequests: 0}, {hostnamePattern: y, maxConcurrentRequests: 1001}]",
                "
                registries[0].maxConcurrentRequests (in DIR/config.yaml): found 0; allowed: an integer from 1 to 1000
                registries[1].maxConcurrentRequests (in DIR/config.yaml): found 1001; allowed: an integer from 1 to 1000
                ",
            ),
        ],
    );
}

/// Secrets, and what is reported of them.
const SECRETS: &[(&str, &str)] = &[
    ("not-to-be-shown", ": found a string; allowed: a mapping"),
    (
        "{type: opaque, token: not-to-be-shown}",
        ".type: found \"opaque\"; allowed: ImagePullSecret, Opaque, CloudIdentity or None",
    ),
    (
        "{username: me}",
        ".type: required; allowed: ImagePullSecret, Opaque, CloudIdentity or None",
    ),
    (
        "{type: ImagePullSecret}",
        ".mountPath: required; allowed: the mount path of a Secret",
    ),
    (
        "{type: Opaque, username: me}",
        ".token: required; allowed: a token, or tokenFile with the path of one",
    ),
    (
        "{type: Opaque, token: 123456}",
        ".token: found a number; allowed: a non-empty string",
    ),
    (
        "{type: Opaque, token: [not-to-be-shown]}",
        ".token: found a list; allowed: a non-empty string",
    ),
    (
        "{type: Opaque, token: {not-to-be-shown: x}}",
        ".token: found a mapping; allowed: a non-empty string",
    ),
    (
        "{type: Opaque, token: ''}",
        ".token: found an empty string; allowed: a non-empty string",
    ),
    (
        "{token: '${EMPTY}'}",
        ".token: found \"${EMPTY}\", which expands to an empty string; allowed: a non-empty string",
    ),
    (
        "{token: '${JFROG_TOKEN}'}",
        ".token: the environment variable JFROG_TOKEN is not set",
    ),
    (
        "{token: not-to-be-shown, tokenFile: DIR/token}",
        ".token: cannot be set together with tokenFile",
    ),
    (
        "{type: Opaque, token: 98765432109876543210987654321}",
        ".token: found a number; allowed: a non-empty string",
    ),
    (
        "{username: me, token: '${JFROG_TOKEN}'}",
        ".token: the environment variable JFROG_TOKEN is not set",
    ),
    (
        "{token: not-to-be-shown, username: '${EMPTY}'}",
        ".username: found \"${EMPTY}\", which expands to an empty string; allowed: a user name",
    ),
    (
        "{token: not-to-be-shown, username: 5}",
        ".username: found 5; allowed: a user name",
    ),
];

#[test]
fn invalid_secrets_are_problems_that_do_not_show_them() {
    let given = Given::new().variable("EMPTY", "");
    for (text, problem) in SECRETS {
        let (key, what) = problem.split_once(": ").expect("a place and a text");
        let expected = format!("registries[0].secret{key} (in DIR/config.yaml): {what}");
        let problems = given.problems(&format!(
            "registries: [{{hostnamePattern: x, secret: {text}}}]"
        ));
        assert_eq!(problems, [expected], "{text}");
    }
}

#[test]
fn secrets_are_redacted_wherever_a_configuration_is_shown() {
    let given = Given::new()
        .file("ca.crt", CERTIFICATE)
        .variable("TOKEN", "not-to-be-shown");
    let loaded = given
        .load("{tls: {caCertificatePaths: [DIR/ca.crt]}, registries: [{hostnamePattern: x, secret: {token: not-to-be-shown}}, {hostnamePattern: y, secret: {token: '${TOKEN}', username: me}}]}")
        .expect("a start");
    assert_eq!(
        loaded.effective["registries"],
        serde_json::json!([
            { "hostnamePattern": "x", "secret": { "token": "[redacted]" } },
            { "hostnamePattern": "y", "secret": { "token": "[redacted]", "username": "me" } },
        ])
    );
    let shown = format!("{loaded:?}");
    assert!(
        shown.contains("[redacted]") && !shown.contains("not-to-be-shown"),
        "{shown}"
    );
    assert!(
        shown.contains("ca.crt") && shown.len() < 20_000,
        "no certificate is printed: {}",
        shown.len()
    );
}
