//! How documents are read.

use super::*;

#[test]
fn entries_are_parsed_in_all_forms() {
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

/// The users that a document has for an image of quay.io.
fn read(document: &str) -> Result<Vec<String>, DockerConfigError> {
    let mut keyring = Keyring::default();
    keyring.add_config_json(document.as_bytes())?;
    Ok(found(&keyring, "quay.io/app"))
}

#[test]
fn base64_is_decoded_as_in_go() {
    // foo:bar, as kubernetes/kubernetes tests it in pkg/credentialprovider/config_test.go, and its like.
    let cases = [
        r"Zm9v\nOmJh\ncg==\n",
        r"Zm9v\r\nOmJh\r\ncg==\r\n",
        r"Zm9vOmJhcg\n",
        r"Zm9vOmJhcg=\n=",
        r"\n\nZm9vOmJhcg==",
        // the last bits are none of a byte's
        "Zm9vOmJhch==",
    ];
    for auth in cases {
        let document = format!(r#"{{"auths": {{"quay.io": {{"auth": "{auth}"}}}}}}"#);
        let mut keyring = Keyring::default();
        assert_eq!(
            keyring.add_config_json(document.as_bytes()),
            Ok(()),
            "{auth}"
        );
        assert_eq!(
            keyring.only(),
            Some(&[Credential::password("foo", "bar")][..]),
            "{auth}"
        );
    }
}

#[test]
fn json_is_parsed_as_in_go() {
    let one = users(&["one"]);
    let cases = [
        // null is nothing
        (
            r#"{"auths": {"quay.io": {"auth": "b25lOnR3bw=="}, "a.io": {"username": null, "password": null, "auth": null}}}"#,
            &one[..],
        ),
        (
            r#"{"auths": {"quay.io": {"auth": "b25lOnR3bw==", "identitytoken": null, "registrytoken": null}}}"#,
            &one,
        ),
        (
            r#"{"auths": {"quay.io": {"auth": "b25lOnR3bw=="}, "a.io": null}}"#,
            &one,
        ),
        (r#"{"auths": {"quay.io": null}}"#, &[]),
        (r#"{"auths": null}"#, &[]),
        ("null", &[]),
        ("{}", &[]),
        // keys of structs in any case, keys of maps as they are
        (
            r#"{"Auths": {"quay.io": {"Username": "one", "PASSWORD": "two"}}}"#,
            &one,
        ),
        (
            r#"{"auths": {"Quay.io": {"username": "one", "password": "two"}}}"#,
            &[],
        ),
        // repeated fields add up or replace
        (
            r#"{"auths": {"quay.io": {"username": "one", "password": "two"}}, "AUTHS": {"a.io": {}}}"#,
            &one,
        ),
        (
            r#"{"auths": {"quay.io": {"username": "zero", "Username": "one", "password": "two"}}}"#,
            &one,
        ),
        (
            r#"{"auths": {"quay.io": {"username": "zero"}, "quay.io": {"username": "one"}}}"#,
            &one,
        ),
        (
            r#"{"auths": {"quay.io": {"username": "zero"}, "quay.io": null}}"#,
            &[],
        ),
        // fields of no concern are of any kind
        (
            r#"{"credsStore": 1, "credHelpers": [], "x": {"y": []}, "auths": {"quay.io": {"username": "one", "identitytoken": 1, "email": 2}}}"#,
            &one,
        ),
    ];
    for (document, expected) in cases {
        assert_eq!(read(document).as_deref(), Ok(expected), "{document}");
    }
    let not_utf8 = b"{\"x\": \"\xe1\", \"auths\": {\"quay.io\": {\"username\": \"one\"}}}";
    let mut keyring = Keyring::default();
    assert_eq!(keyring.add_config_json(not_utf8), Ok(()));
    assert_eq!(found(&keyring, "quay.io/app"), one);
}

#[test]
fn an_entry_that_is_not_utf8_does_not_affect_the_others() {
    let document = r#"{"auths": {"quay.io": {"auth": "YcV6OmHFeg=="}, "a.io": {"username": "a", "password": "p"}}}"#;
    let mut keyring = Keyring::default();
    assert_eq!(keyring.add_config_json(document.as_bytes()), Ok(()));
    assert_eq!(found(&keyring, "a.io/app"), users(&["a"]));
    assert_eq!(found(&keyring, "quay.io/app"), users(&[]));
}

/// A document, an image, and the message about the missing credential.
const WITHOUT_CREDENTIALS: [(&str, &str, Option<&str>); 10] = [
    (
        r#"{"auths": {"quay.io": {"username": "", "password": "", "auth": ""}}}"#,
        "quay.io/app",
        Some(r#"its entry "quay.io" is empty"#),
    ),
    (
        r#"{"auths": {"https://quay.io/v2/": {}}}"#,
        "quay.io/app",
        Some(r#"its entry "https://quay.io/v2/" is empty"#),
    ),
    (r#"{"auths": {"quay.io": {}}}"#, "a.io/app", None),
    (
        r#"{"auths": {"quay.io": {}, "*.io": {"username": "a"}}}"#,
        "quay.io/app",
        None,
    ),
    (
        r#"{"auths": {"quay.io": {"auth": "YcV6OmHFeg=="}}}"#,
        "quay.io/app",
        Some(r#"the user name or password of its entry "quay.io" is not UTF-8"#),
    ),
    (
        r#"{"auths": {"https://index.docker.io/v1/": {}}, "credsStore": "desktop"}"#,
        "nginx",
        Some(r#"its credentials are in the credential helper "desktop", which is not supported"#),
    ),
    (
        r#"{"credsStore": "desktop"}"#,
        "quay.io/app",
        Some(r#"its credentials are in the credential helper "desktop", which is not supported"#),
    ),
    (
        r#"{"credHelpers": {"gcr.io": "gcloud"}, "credsStore": "desktop"}"#,
        "gcr.io/a/app",
        Some(r#"its credentials are in the credential helper "gcloud", which is not supported"#),
    ),
    (
        r#"{"credHelpers": {"gcr.io": "gcloud"}}"#,
        "quay.io/app",
        None,
    ),
    (
        r#"{"auths": {"quay.io": {"username": "a"}}, "credsStore": "desktop"}"#,
        "quay.io/app",
        None,
    ),
];

#[test]
fn missing_credentials_are_explained() {
    for (document, image, expected) in WITHOUT_CREDENTIALS {
        let mut keyring = Keyring::default();
        let added = keyring.add_config_json(document.as_bytes());
        assert_eq!(added, Ok(()), "{document}");
        let mut all = Keyring::default();
        all.extend(&keyring);
        for keyring in [keyring, all] {
            let reference: Reference = image.parse().expect("a reference");
            let missing = keyring.missing(&reference).map(ToString::to_string);
            assert_eq!(missing.as_deref(), expected, "{document}: {image}");
        }
    }
}

#[test]
fn an_empty_entry_is_an_entry_without_a_credential() {
    let mut keyring = Keyring::default();
    keyring
        .add_config_json(br#"{"auths": {"quay.io": {}, "a.io": {"username": "a"}}}"#)
        .expect("a document");
    let credentials: CredentialChain = keyring
        .lookup(&"quay.io/app".parse().expect("a reference"))
        .into_iter()
        .collect();
    assert!(credentials.is_empty());
    assert_eq!(keyring.only(), None);
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
