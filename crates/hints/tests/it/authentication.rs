//! Who may hint.

use http::HeaderMap;
use kube_autorollout_hints::{
    ArtifactoryAuthentication, Authenticated, Receiver, ReceiverSettings, Request, Secret, Secrets,
    Sender, Unauthenticated, receivers,
};
use ring::hmac;

use crate::given::{headers, naming};

const CURRENT: &str = "current-secret";
const PREVIOUS: &str = "previous-secret";
const BODY: &[u8] = br#"{"image": "ghcr.io/team/web:main"}"#;

fn receiver(sender: Sender, authentication: ArtifactoryAuthentication) -> Receiver {
    let mut settings = ReceiverSettings::new("ci", sender);
    settings.secret_file = Some("/etc/hints/ci".into());
    settings.authentication = authentication;
    settings.naming = naming(sender);
    receivers(vec![settings]).expect("no mistakes").remove(0)
}

fn secrets(sender: Sender) -> Secrets {
    let secret = |text: &str| Secret::new(sender, text.as_bytes()).expect("a secret");
    Secrets::new(secret(CURRENT), Some(secret(PREVIOUS)))
}

/// Whether a request is believed.
fn authenticate(
    receiver: &Receiver,
    headers: &HeaderMap,
    path_secret: Option<&str>,
    body: &[u8],
) -> Result<(), Unauthenticated> {
    let request = Request {
        headers,
        path_secret,
        body,
    };
    let secrets = secrets(receiver.settings().sender);
    let authenticated = receiver.authenticate(Some(&secrets), &request)?;
    assert_eq!(authenticated, Authenticated::Secret);
    Ok(())
}

fn signature(secret: &str, body: &[u8]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let tag = hmac::sign(&key, body);
    let digits = tag.as_ref().iter().map(|byte| format!("{byte:02x}"));
    digits.collect::<Vec<_>>().concat()
}

/// The senders that sign, with their headers and what stands before the digits.
const SIGNING: [(Sender, &str, &str); 5] = [
    (Sender::Generic, "X-Signature-256", "sha256="),
    (Sender::Github, "X-Hub-Signature-256", "sha256="),
    (Sender::Gitea, "X-Gitea-Signature", ""),
    (Sender::Gitea, "X-Hub-Signature-256", "sha256="),
    (Sender::Artifactory, "X-JFrog-Event-Auth", ""),
];

#[test]
fn a_signature_over_the_raw_bytes_is_accepted_with_either_secret() {
    for (sender, header, prefix) in SIGNING {
        let receiver = receiver(sender, authentication_of(sender));
        for secret in [CURRENT, PREVIOUS] {
            let value = format!("{prefix}{}", signature(secret, BODY));
            let given = headers(&[(header, &value)]);
            assert_eq!(
                authenticate(&receiver, &given, None, BODY),
                Ok(()),
                "{header}"
            );
            let upper = format!("{prefix}{}", signature(secret, BODY).to_uppercase());
            let given = headers(&[(header, &upper)]);
            assert_eq!(
                authenticate(&receiver, &given, None, BODY),
                Ok(()),
                "{header}"
            );
        }
    }
}

fn authentication_of(sender: Sender) -> ArtifactoryAuthentication {
    if sender == Sender::Artifactory {
        ArtifactoryAuthentication::Hmac
    } else {
        ArtifactoryAuthentication::Secret
    }
}

#[test]
fn a_signature_that_is_wrong_empty_missing_or_there_twice_is_refused() {
    for (sender, header, prefix) in SIGNING {
        let receiver = receiver(sender, authentication_of(sender));
        let right = format!("{prefix}{}", signature(CURRENT, BODY));
        let refused = |all: &[(&str, &str)], body: &[u8]| {
            authenticate(&receiver, &headers(all), None, body).expect_err("refused")
        };
        let other = format!("{prefix}{}", signature("another", BODY));
        assert_eq!(refused(&[(header, &other)], BODY), Unauthenticated::Wrong);
        let changed = [BODY, b" "].concat();
        assert_eq!(
            refused(&[(header, &right)], &changed),
            Unauthenticated::Wrong
        );
        assert_eq!(refused(&[(header, &right)], b""), Unauthenticated::Wrong);
        assert_eq!(
            refused(&[(header, "")], BODY),
            Unauthenticated::Empty(header)
        );
        let twice = [(header, &*right), (header, &*right)];
        assert_eq!(refused(&twice, BODY), Unauthenticated::Repeated(header));
        assert!(matches!(refused(&[], BODY), Unauthenticated::Missing(_)));
        for form in [
            prefix,
            CURRENT,
            "sha1=da39a3ee5e6b4b0d3255bfef95601890afd80709",
            &right[..right.len() - 1],
            &right[..right.len() - 2],
            &format!("{right}0"),
            &format!("{right}00"),
            &format!("{prefix}{}", "g".repeat(64)),
        ] {
            if !form.is_empty() {
                let error = refused(&[(header, form)], BODY);
                assert_eq!(error, Unauthenticated::Form(header), "{form}");
            }
        }
    }
}

#[test]
fn a_signature_of_github_with_sha1_alone_is_refused() {
    let receiver = receiver(Sender::Github, ArtifactoryAuthentication::Secret);
    let given = headers(&[(
        "X-Hub-Signature",
        "sha1=da39a3ee5e6b4b0d3255bfef95601890afd80709",
    )]);
    let error = authenticate(&receiver, &given, None, BODY).expect_err("refused");
    assert_eq!(error, Unauthenticated::Sha1);
}

#[test]
fn gitea_without_a_secret_is_refused_though_another_header_is_right() {
    let receiver = receiver(Sender::Gitea, ArtifactoryAuthentication::Secret);
    let right = format!("sha256={}", signature(CURRENT, BODY));
    let given = headers(&[("X-Gitea-Signature", ""), ("X-Hub-Signature-256", &right)]);
    let error = authenticate(&receiver, &given, None, BODY).expect_err("refused");
    assert_eq!(error, Unauthenticated::Empty("X-Gitea-Signature"));
}

#[test]
fn a_static_header_is_the_secret_a_bearer_or_a_password() {
    use base64::{Engine as _, engine::general_purpose::STANDARD};

    let basic = |login: String| format!("Basic {}", STANDARD.encode(login));
    for sender in [
        Sender::Distribution,
        Sender::Harbor,
        Sender::Acr,
        Sender::Cloudevents,
    ] {
        let receiver = receiver(sender, ArtifactoryAuthentication::Secret);
        let check = |value: &str| {
            let given = headers(&[("Authorization", value)]);
            authenticate(&receiver, &given, None, BODY)
        };
        for secret in [CURRENT, PREVIOUS] {
            for right in [
                secret.to_owned(),
                format!("Bearer {secret}"),
                format!("bearer  {secret}"),
                basic(format!("zot:{secret}")),
                basic(format!(":{secret}")),
            ] {
                assert_eq!(check(&right), Ok(()), "{sender:?}: {right}");
            }
        }
        for wrong in [
            "Bearer".to_owned(),
            "Bearer ".to_owned(),
            "Bearer another".to_owned(),
            format!("Token {CURRENT}"),
            format!("{CURRENT}x"),
            CURRENT[1..].to_owned(),
            basic(CURRENT.to_owned()),
            basic(format!("{CURRENT}:zot")),
            "Basic !".to_owned(),
        ] {
            assert_eq!(
                check(&wrong),
                Err(Unauthenticated::Wrong),
                "{sender:?}: {wrong}"
            );
        }
        let nothing = authenticate(&receiver, &headers(&[]), None, BODY);
        assert_eq!(nothing, Err(Unauthenticated::Missing("Authorization")));
    }
}

#[test]
fn a_secret_in_the_path_counts_only_for_senders_without_another_way() {
    for sender in Sender::ALL {
        let receiver = receiver(sender, ArtifactoryAuthentication::Secret);
        let given = headers(&[]);
        for secret in [CURRENT, PREVIOUS] {
            let accepted = authenticate(&receiver, &given, Some(secret), BODY).is_ok();
            assert_eq!(accepted, sender.has_secret_in_path(), "{sender:?}");
        }
        if sender.has_secret_in_path() {
            for (secret, error) in [
                (Some("another"), Unauthenticated::Wrong),
                (Some(""), Unauthenticated::NotInPath),
                (None, Unauthenticated::NotInPath),
            ] {
                let refused = authenticate(&receiver, &given, secret, BODY);
                assert_eq!(refused, Err(error), "{sender:?}");
            }
            let header = headers(&[("Authorization", CURRENT)]);
            assert!(authenticate(&receiver, &header, None, BODY).is_err());
        }
    }
}

#[test]
fn artifactory_sends_the_secret_or_a_signature_as_configured() {
    let by_secret = receiver(Sender::Artifactory, ArtifactoryAuthentication::Secret);
    let by_hmac = receiver(Sender::Artifactory, ArtifactoryAuthentication::Hmac);
    let secret = headers(&[("X-JFrog-Event-Auth", CURRENT)]);
    let signed = headers(&[("X-JFrog-Event-Auth", &signature(CURRENT, BODY))]);
    assert_eq!(authenticate(&by_secret, &secret, None, BODY), Ok(()));
    assert_eq!(authenticate(&by_hmac, &signed, None, BODY), Ok(()));
    assert!(authenticate(&by_secret, &signed, None, BODY).is_err());
    assert!(authenticate(&by_hmac, &secret, None, BODY).is_err());
}

#[test]
fn a_receiver_without_a_secret_rejects_every_request() {
    for sender in Sender::ALL {
        let receiver = receiver(sender, ArtifactoryAuthentication::Secret);
        let all = [
            ("Authorization", "Bearer "),
            ("X-Hub-Signature-256", "sha256="),
            ("X-JFrog-Event-Auth", "x"),
        ];
        let given = headers(&all);
        let request = Request {
            headers: &given,
            path_secret: Some("x"),
            body: BODY,
        };
        assert!(receiver.authenticate(None, &request).is_err(), "{sender:?}");
    }
}

#[test]
fn a_token_is_handed_on_only_where_tokens_are_configured() {
    let given = headers(&[("Authorization", "Bearer a.b.c")]);
    let request = Request {
        headers: &given,
        path_secret: None,
        body: BODY,
    };
    let by_secret = receiver(Sender::Generic, ArtifactoryAuthentication::Secret);
    let secrets = secrets(Sender::Generic);
    let refused = by_secret.authenticate(Some(&secrets), &request);
    assert_eq!(refused, Err(Unauthenticated::Wrong));
    let by_token = crate::oidc::receiver();
    for secrets in [None, Some(&secrets)] {
        let token = by_token.authenticate(secrets, &request);
        assert_eq!(token, Ok(Authenticated::Token("a.b.c")));
    }
}
