//! The settings of receivers.

use std::collections::BTreeMap;

use kube_autorollout_hints::{
    ArtifactoryAuthentication, Ignored, ReceiverSettings, Request, Sender, oidc::OidcSettings,
    receivers,
};

use crate::given::{fixture, headers, hints};

fn settings(sender: Sender) -> ReceiverSettings {
    let mut settings = ReceiverSettings::new("ci", sender);
    settings.secret_file = Some("/etc/hints/ci".into());
    settings.naming = crate::given::naming(sender);
    settings
}

fn oidc() -> OidcSettings {
    OidcSettings {
        issuer: "https://token.actions.githubusercontent.com".to_owned(),
        audience: "kube-autorollout".to_owned(),
        claims: BTreeMap::from([("repository_owner".to_owned(), "team".to_owned())]),
    }
}

/// The keys with mistakes.
fn mistakes(settings: ReceiverSettings) -> Vec<&'static str> {
    let problems = receivers(vec![settings]).err().unwrap_or_default();
    problems.into_iter().map(|problem| problem.key).collect()
}

#[test]
fn every_type_has_settings_without_a_mistake() {
    for sender in Sender::ALL {
        assert_eq!(mistakes(settings(sender)), [""; 0], "{sender:?}");
        assert_eq!(sender.as_str().parse(), Ok(sender));
    }
    assert!("gitlab".parse::<Sender>().is_err());
}

type Change = fn(&mut ReceiverSettings);

#[test]
fn each_mistake_is_found_at_its_key() {
    let mistaken: [(Sender, Change, &str); 25] = [
        (Sender::Generic, |it| it.secret_file = None, "secretFile"),
        (Sender::Github, |it| it.secret_file = None, "secretFile"),
        (Sender::Generic, |it| it.name = String::new(), "name"),
        (Sender::Generic, |it| it.name = "CI".to_owned(), "name"),
        (Sender::Generic, |it| it.name = "a/b".to_owned(), "name"),
        (Sender::Generic, |it| it.name = "-a".to_owned(), "name"),
        (Sender::Generic, |it| it.name = "a".repeat(64), "name"),
        (Sender::Github, |it| it.may_wait = true, "mayWait"),
        (Sender::Github, |it| it.oidc = Some(oidc()), "oidc"),
        (
            Sender::Github,
            |it| it.authentication = ArtifactoryAuthentication::Hmac,
            "authentication",
        ),
        (
            Sender::Generic,
            |it| it.images = vec!["team/*".to_owned()],
            "images",
        ),
        (
            Sender::Generic,
            |it| it.naming.registry_host = Some("a.b".to_owned()),
            "registryHost",
        ),
        (
            Sender::Artifactory,
            |it| it.naming.registry_host = Some("a.b".to_owned()),
            "registryHost",
        ),
        (
            Sender::Harbor,
            |it| it.naming.registry_host = Some("registry".to_owned()),
            "registryHost",
        ),
        (
            Sender::Harbor,
            |it| it.naming.registry_host = Some("https://a.b".to_owned()),
            "registryHost",
        ),
        (
            Sender::Harbor,
            |it| it.naming.registry_host = Some("a.b/c".to_owned()),
            "registryHost",
        ),
        (
            Sender::Harbor,
            |it| it.naming.registry_host = Some("index.docker.io".to_owned()),
            "registryHost",
        ),
        (
            Sender::Harbor,
            |it| it.naming.registry_host = Some(String::new()),
            "registryHost",
        ),
        (
            Sender::Generic,
            |it| it.naming.repository_prefix = Some("a".to_owned()),
            "repositoryPrefix",
        ),
        (
            Sender::Harbor,
            |it| it.naming.repository_prefix = Some("a/".to_owned()),
            "repositoryPrefix",
        ),
        (
            Sender::Harbor,
            |it| it.naming.repository_prefix = Some("A".to_owned()),
            "repositoryPrefix",
        ),
        (
            Sender::Artifactory,
            |it| it.naming.repositories.clear(),
            "repositories",
        ),
        (
            Sender::Artifactory,
            |it| it.naming.repositories = [("a".to_owned(), vec![])].into(),
            "repositories",
        ),
        (
            Sender::Artifactory,
            |it| it.naming.repositories = [("a".to_owned(), vec!["docker".to_owned()])].into(),
            "repositories",
        ),
        (
            Sender::Harbor,
            |it| it.naming.repositories = [("a".to_owned(), vec!["a.b".to_owned()])].into(),
            "repositories",
        ),
    ];
    for (sender, change, key) in mistaken {
        let mut settings = settings(sender);
        change(&mut settings);
        assert_eq!(mistakes(settings), [key], "{sender:?}");
    }
}

#[test]
fn a_previous_secret_needs_the_one_that_replaces_it() {
    let mut settings = settings(Sender::Generic);
    settings.secret_file = None;
    settings.oidc = Some(oidc());
    assert_eq!(mistakes(settings.clone()), [""; 0]);
    settings.previous_secret_file = Some("/etc/hints/ci.old".into());
    assert_eq!(mistakes(settings), ["previousSecretFile"]);
}

type OidcChange = fn(&mut OidcSettings);

#[test]
fn claims_must_identify_the_holder() {
    let claim = |name: &str, value: &str| BTreeMap::from([(name.to_owned(), value.to_owned())]);
    let mut accepted = settings(Sender::Generic);
    accepted.oidc = Some(oidc());
    assert_eq!(mistakes(accepted), [""; 0]);
    for (claims, message) in [
        (BTreeMap::new(), "all of them could send hints"),
        (claim("aud", "kube-autorollout"), "keys of their own"),
        (claim("iss", "https://a.b"), "keys of their own"),
        (claim("repository_owner", ""), "needs a value"),
    ] {
        let mut settings = settings(Sender::Generic);
        settings.oidc = Some(OidcSettings { claims, ..oidc() });
        let problems = receivers(vec![settings]).expect_err("a mistake");
        assert_eq!(problems[0].key, "oidc.claims");
        assert!(problems[0].message.contains(message), "{problems:?}");
    }
    for issuer in [
        "http://127.0.0.1:8080",
        "http://localhost/ci",
        "http://[::1]:8080",
    ] {
        let mut settings = settings(Sender::Generic);
        let issuer = issuer.to_owned();
        settings.oidc = Some(OidcSettings { issuer, ..oidc() });
        assert_eq!(mistakes(settings), [""; 0]);
    }
    let mistaken: [(OidcChange, &str); 7] = [
        (|it| it.issuer = String::new(), "oidc.issuer"),
        (
            |it| it.issuer = "token.actions.githubusercontent.com".to_owned(),
            "oidc.issuer",
        ),
        (|it| it.issuer = "http://a.b".to_owned(), "oidc.issuer"),
        (|it| it.issuer = "https://".to_owned(), "oidc.issuer"),
        (|it| it.issuer = "https://a.b?c=d".to_owned(), "oidc.issuer"),
        (
            |it| it.issuer = "https://user:secret@a.b".to_owned(),
            "oidc.issuer",
        ),
        (|it| it.audience = String::new(), "oidc.audience"),
    ];
    for (change, key) in mistaken {
        let mut oidc = oidc();
        change(&mut oidc);
        let mut settings = settings(Sender::Generic);
        settings.oidc = Some(oidc);
        assert_eq!(mistakes(settings), [key]);
    }
}

#[test]
fn every_mistake_of_every_receiver_is_named_and_names_are_unique() {
    let mut first = settings(Sender::Github);
    first.secret_file = None;
    first.may_wait = true;
    let problems = receivers(vec![first, settings(Sender::Harbor)]).expect_err("mistakes");
    let found: Vec<_> = problems.iter().map(|it| (it.receiver, it.key)).collect();
    assert_eq!(found, [(0, "secretFile"), (0, "mayWait"), (1, "name")]);
}

#[test]
fn a_receiver_gives_only_the_hints_that_it_may() {
    let mut settings = settings(Sender::Generic);
    settings.images = vec![
        "ghcr.io/team/*".to_owned(),
        "docker.io/library/*".to_owned(),
    ];
    let receiver = receivers(vec![settings]).expect("no mistakes").remove(0);
    let headers = headers(&[]);
    let body = fixture("generic/images");
    let request = Request {
        headers: &headers,
        path_secret: None,
        body: &body,
    };
    let mut expected = hints([
        ("docker.io/library/nginx", &["latest"]),
        ("ghcr.io/team/web", &["main", "v1"]),
    ]);
    expected.ignored = BTreeMap::from([(Ignored::NotPermitted, 2)]);
    assert_eq!(receiver.read(&request), Ok(expected));
}

#[test]
fn every_reason_has_a_word_of_its_own() {
    let words: std::collections::BTreeSet<_> = Ignored::ALL.map(Ignored::as_str).into();
    assert_eq!(words.len(), Ignored::ALL.len());
}
