//! The cases of the kubelet's own `keyring_test.go`, and the shapes of Docker configurations.

use super::*;
use crate::Credentials;

fn keyring(keys: &[&str]) -> Keyring {
    let mut keyring = Keyring::default();
    let entries = keys
        .iter()
        .map(|key| ((*key).to_owned(), Some(Credential::password(*key, "p"))));
    keyring.add(entries.collect());
    keyring
}

/// The user names, which are the keys, in the order of the lookup.
fn found(keyring: &Keyring, image: &str) -> Vec<String> {
    let reference: Reference = image.parse().expect("a test's own reference");
    let found = keyring.lookup(&reference);
    found
        .iter()
        .map(|credential| format!("{credential:?}"))
        .collect()
}

fn users(keys: &[&str]) -> Vec<String> {
    keys.iter()
        .map(|key| format!("Password({key:?}, ..)"))
        .collect()
}

#[test]
fn keys_match_as_the_kubelet_matches_them() {
    let cases: &[(&str, &str, bool)] = &[
        // globs in each label
        ("*.kubernetes.io", "prefix.kubernetes.io/app", true),
        ("prefix.*.io", "prefix.kubernetes.io/app", true),
        ("prefix.kubernetes.*", "prefix.kubernetes.io/app", true),
        (
            "*-good.kubernetes.io",
            "prefix-good.kubernetes.io/app",
            true,
        ),
        ("app*.k8s.io", "app123.k8s.io/app", true),
        // as many labels
        ("*.io", "a.b.io/app", false),
        ("kubernetes.io", "prefix.kubernetes.io/app", false),
        ("*.kubernetes.io", "kubernetes.io/app", false),
        // paths are prefixes of text
        ("quay.io/foo", "quay.io/foo/x", true),
        ("quay.io/foo", "quay.io/foobar/x", true),
        ("quay.io/foo/", "quay.io/foobar/x", false),
        ("quay.io/foo/*", "quay.io/foo/x", false),
        ("quay.io/foo", "quay.io/bar/foo", false),
        // ports
        ("quay.io:5000", "quay.io:5000/app", true),
        ("quay.io", "quay.io:5000/app", false),
        ("quay.io:5000", "quay.io/app", false),
        ("*.io:5000", "quay.io:5000/app", true),
        ("quay.io:50*", "quay.io:5000/app", false),
        // schemes and API versions
        ("https://quay.io", "quay.io/app", true),
        ("http://quay.io/", "quay.io/app", true),
        ("https://quay.io/v2/", "quay.io/app", true),
        ("https://quay.io/v1/foo", "quay.io/foo/app", true),
        ("quay.io/v2", "quay.io/app", false),
        // Docker Hub
        ("https://index.docker.io/v1/", "nginx", true),
        ("index.docker.io", "team/app", true),
        ("docker.io", "nginx", true),
        ("docker.io/library", "nginx", true),
        ("registry-1.docker.io", "nginx", false),
        ("hub.docker.com", "nginx", false),
        ("index.docker.io", "quay.io/nginx", false),
        // malformed
        ("[a-z.io", "quay.io/app", false),
        ("", "quay.io/app", false),
    ];
    for (key, image, expected) in cases {
        assert_eq!(
            !found(&keyring(&[key]), image).is_empty(),
            *expected,
            "key {key:?}, image {image}"
        );
    }
}

#[test]
fn longer_keys_come_before_shorter_ones_and_names_before_globs() {
    let keys = [
        "*.example.com",
        "a.example.com",
        "a.example.com/team",
        "a.example.com/team/app",
    ];
    assert_eq!(
        found(&keyring(&keys), "a.example.com/team/app:1"),
        users(&[
            "a.example.com/team/app",
            "a.example.com/team",
            "a.example.com",
            "*.example.com"
        ])
    );
}

#[test]
fn the_default_registry_is_asked_only_when_nothing_else_matches() {
    let both = keyring(&["docker.io/team", "index.docker.io"]);
    assert_eq!(found(&both, "team/app"), users(&["docker.io/team"]));
    assert_eq!(found(&both, "other/app"), users(&["index.docker.io"]));
}

#[test]
fn several_credentials_under_one_key_keep_the_order_of_their_secrets() {
    let mut first = Keyring::default();
    first
        .add_dockercfg(br#"{"quay.io": {"username": "one", "password": "p"}}"#)
        .expect("a document");
    let mut second = Keyring::default();
    second
        .add_dockercfg(br#"{"https://quay.io": {"username": "two", "password": "p"}}"#)
        .expect("a document");
    first.extend(&second);
    assert_eq!(found(&first, "quay.io/app"), users(&["one", "two"]));
}

#[test]
fn entries_are_read_in_all_their_forms() {
    let cases = [
        // one: two, with and without padding
        (
            r#"{"auth": "b25lOnR3bw=="}"#,
            Credential::password("one", "two"),
        ),
        (
            r#"{"auth": "b25lOnR3bw"}"#,
            Credential::password("one", "two"),
        ),
        // a:b:c splits at the first colon
        (r#"{"auth": "YTpiOmM="}"#, Credential::password("a", "b:c")),
        (
            r#"{"auth": "YTpi", "username": "x", "password": "y"}"#,
            Credential::password("a", "b"),
        ),
        (
            r#"{"auth": "", "username": "x", "password": "y"}"#,
            Credential::password("x", "y"),
        ),
        (
            r#"{"username": "x", "password": "y", "email": "z"}"#,
            Credential::password("x", "y"),
        ),
        (
            r#"{"username": "<token>", "password": "t"}"#,
            Credential::identity("<token>", "t"),
        ),
        (
            r#"{"auth": "YTo=", "identitytoken": "t"}"#,
            Credential::identity("a", "t"),
        ),
        (
            r#"{"auth": "YTpi", "registrytoken": "t"}"#,
            Credential::bearer("t"),
        ),
    ];
    for (entry, expected) in cases {
        let mut keyring = Keyring::default();
        let document = format!(r#"{{"auths": {{"quay.io": {entry}}}, "credsStore": "ignored"}}"#);
        keyring
            .add_config_json(document.as_bytes())
            .expect("a document");
        assert_eq!(keyring.only(), Some(&[expected][..]), "{entry}");
    }
}

#[test]
fn an_entry_without_content_is_no_credential() {
    let mut keyring = Keyring::default();
    keyring
        .add_config_json(br#"{"auths": {"quay.io": {}}}"#)
        .expect("a document");
    let credentials: Credentials = keyring
        .lookup(&"quay.io/app".parse().expect("a reference"))
        .into_iter()
        .collect();
    assert!(credentials.is_empty());
}

#[test]
fn a_malformed_document_adds_nothing_and_its_error_shows_no_secret() {
    let cases: &[(&str, &str)] = &[
        ("", "malformed at line 1, column 0"),
        (
            r#"{"auths": {"quay.io": "hunter2"}}"#,
            "malformed at line 1",
        ),
        (
            r#"{"auths": {"quay.io": {"auth": "hunter2!"}}}"#,
            r#"the entry "quay.io" has an auth"#,
        ),
        (
            r#"{"auths": {"a.io": {"auth": "YTpi"}, "quay.io": {"auth": "aHVudGVyMg=="}}}"#,
            r#"the entry "quay.io" has an auth"#,
        ),
    ];
    for (document, expected) in cases {
        let mut keyring = Keyring::default();
        let error = keyring
            .add_config_json(document.as_bytes())
            .expect_err(document)
            .to_string();
        assert!(error.contains(expected), "{document}: {error}");
        assert!(!error.contains("hunter2"), "{error}");
        assert_eq!(keyring, Keyring::default());
    }
}
