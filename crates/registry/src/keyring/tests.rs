//! The cases of the kubelet's own `keyring_test.go`, and the shapes of Docker configurations.

use super::*;
use crate::credential::CredentialChain;

mod documents;

fn keyring(keys: &[&str]) -> Keyring {
    let mut keyring = Keyring::default();
    let entries = keys
        .iter()
        .map(|key| ((*key).to_owned(), Ok(Credential::password(*key, "p"))));
    keyring.add(DockerConfig {
        entries: entries.collect(),
        store: None,
    });
    keyring
}

/// The user names, which are the keys, in the order of the lookup.
fn found(keyring: &Keyring, image: &str) -> Vec<String> {
    // oci-spec does not read IPv6 addresses.
    let reference = match image.split_once("]:5000/") {
        Some((address, repository)) => Reference::with_tag(
            format!("{address}]:5000"),
            repository.to_owned(),
            "1".to_owned(),
        ),
        None => image.parse().expect("a test's own reference"),
    };
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
fn keys_match_as_in_the_kubelet() {
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
        // IPv6 addresses, and what only resembles them
        ("[fd00::10]:5000", "[fd00::10]:5000/app", true),
        ("https://[fd00::10]:5000/v2/", "[fd00::10]:5000/app", true),
        ("[fd00::10]", "[fd00::10]:5000/app", false),
        ("[fd00::10]:5000", "[fd00::11]:5000/app", false),
        ("[ad]:5000", "[fd00::10]:5000/app", false),
        ("[a-q]uay.io", "quay.io/app", true),
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
fn longer_keys_precede_shorter_ones_and_names_precede_globs() {
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
fn the_default_registry_is_used_if_no_other_key_matches() {
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
