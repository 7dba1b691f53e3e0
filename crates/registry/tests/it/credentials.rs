//! Which credential is presented, how often, and to which server.

use std::time::Duration;

use futures::future::join_all;
use kube_autorollout_registry::{Credential, CredentialChain, ErrorKind};

use crate::script::{
    Answer, ReceivedRequest, Server, alice, bob, client, credentials, index, pass, resolve_with,
    status, token,
};

const BOB: &str = "Basic Ym9iOmJvYi1zZWNyZXQ=";

fn presented(request: &ReceivedRequest) -> bool {
    request
        .authorization()
        .is_some_and(|sent| sent.starts_with("Basic"))
}

/// Accepts bob only, with Basic.
fn basic(request: &ReceivedRequest) -> Answer {
    match request.authorization() {
        Some(BOB) => index("{}"),
        _ => status(401).with("www-authenticate", r#"Basic realm="x""#),
    }
}

/// Accepts bob only, with tokens that read everything but `secret`.
fn bearer(request: &ReceivedRequest) -> Answer {
    if request.is_token() {
        return match request.authorization() {
            Some(BOB) => token("bob"),
            _ => status(401),
        };
    }
    match request.authorization() {
        Some("Bearer bob") if !request.target.contains("/secret/") => index("{}"),
        _ => {
            let realm = format!("http://{}/token", request.host);
            status(401).with("www-authenticate", &format!(r#"Bearer realm="{realm}""#))
        }
    }
}

#[tokio::test]
async fn the_next_credential_is_tried_after_a_refusal_only() {
    for script in [basic, bearer] {
        let server = Server::start(script).await;
        let client = client();
        let both = credentials(&[alice(), bob()]);
        resolve_with(&client, &server.image("web:1"), &both)
            .await
            .expect("bob may");
        assert_eq!(server.count(presented), 2, "alice, then bob");
        resolve_with(
            &client,
            &server.image("web:1"),
            &credentials(&[bob(), alice()]),
        )
        .await
        .expect("bob may");
        assert_eq!(
            server.count(|request| presented(request) && request.authorization() != Some(BOB)),
            1
        );
    }
}

/// Shows `web` to alice only and `api` to bob only.
fn each_their_own(request: &ReceivedRequest) -> Answer {
    let bob = request.authorization() == Some(BOB);
    match (request.authorization(), request.target.contains("/api/")) {
        (None, _) => status(401).with("www-authenticate", "Basic"),
        (Some(_), api) if api == bob => index("{}"),
        _ => status(404),
    }
}

#[tokio::test]
async fn a_credential_that_finds_the_repository_is_preferred() {
    let server = Server::start(each_their_own).await;
    let client = client();
    let both = credentials(&[alice(), bob()]);
    for image in ["api:1", "web:1"] {
        resolve_with(&client, &server.image(image), &both)
            .await
            .expect(image);
    }
    let before = server.log().len();
    for image in ["api:1", "web:1", "api:2"] {
        resolve_with(&client, &server.image(image), &both)
            .await
            .expect(image);
    }
    assert_eq!(server.log().len() - before, 3, "one HEAD each");
    pass(3601).await;
    let before = server.log().len();
    resolve_with(&client, &server.image("api:1"), &both)
        .await
        .expect("bob's");
    let log = server.log();
    let mut sent = log[before..]
        .iter()
        .filter_map(ReceivedRequest::authorization);
    let first = sent.next().expect("a credential");
    assert_ne!(first, BOB, "the order of the kubelet is tried again");
}

#[tokio::test]
async fn a_404_takes_precedence_over_a_refusal() {
    let server = Server::start(|request| match request.authorization() {
        None => status(401).with("www-authenticate", "Basic"),
        Some(BOB) => status(401),
        Some(_) => status(404),
    })
    .await;
    for both in [[alice(), bob()], [bob(), alice()]] {
        let error = resolve_with(&client(), &server.image("web:1"), &credentials(&both)).await;
        assert_eq!(error.expect_err("missing").kind(), ErrorKind::NotFound);
    }
    // Where nobody is asked for credentials, none is shown, and one answer is that for all.
    let server = Server::start(|_| status(404)).await;
    let both = credentials(&[alice(), bob()]);
    let error = resolve_with(&client(), &server.image("web:1"), &both).await;
    assert_eq!(error.expect_err("missing").kind(), ErrorKind::NotFound);
    assert_eq!(server.count(presented), 0);
    let lines = [
        "HEAD /v2/web/manifests/1",
        "GET /v2/",
        "GET /v2/web/manifests/1",
    ];
    assert_eq!(server.lines(), lines);
}

#[tokio::test]
async fn all_refusals_are_reported() {
    let server = Server::start(|request| match request.authorization() {
        Some(BOB) => status(403),
        _ => status(401).with("www-authenticate", "Basic"),
    })
    .await;
    let client = client();
    let image = server.image("web:1");
    resolve_with(&client, &image, &credentials(&[alice()]))
        .await
        .expect_err("refused");
    let three = credentials(&[alice(), bob(), Credential::password("carol", "x")]);
    let error = resolve_with(&client, &image, &three).await;
    let error = error.expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::Unauthorized);
    let others = error
        .refusals()
        .iter()
        .map(kube_autorollout_registry::Error::kind);
    let others: Vec<_> = others.collect();
    assert_eq!(
        others,
        [ErrorKind::CredentialQuarantined, ErrorKind::Denied]
    );
    assert!(error.to_string().contains("Denied"), "{error}");
}

#[tokio::test]
async fn a_credential_that_the_registry_has_no_use_for_does_not_hide_the_next_one() {
    let identity = || Credential::identity("", "refresh");
    // No header can carry it.
    let broken = || Credential::bearer("two\nlines");
    for unsuitable in [identity, broken] {
        let server = Server::start(basic).await;
        let client = client();
        let image = server.image("web:1");
        let kinds = async |chain: &[Credential]| {
            let error = resolve_with(&client, &image, &credentials(chain)).await;
            let error = error.expect_err("nobody is let in");
            let refusals = error.refusals().iter();
            let others: Vec<_> = refusals
                .map(kube_autorollout_registry::Error::kind)
                .collect();
            (error.kind(), others)
        };
        let alone = kinds(&[unsuitable()]).await;
        assert_eq!(alone, (ErrorKind::UnsupportedChallenge, vec![]));
        for order in [[unsuitable(), alice()], [alice(), unsuitable()]] {
            let (kind, others) = kinds(&order).await;
            let refused = [ErrorKind::Unauthorized, ErrorKind::CredentialQuarantined];
            assert!(refused.contains(&kind), "{kind}");
            assert_eq!(others, [ErrorKind::UnsupportedChallenge]);
        }
        assert_eq!(server.count(presented), 1, "alice's password");
        for order in [[unsuitable(), bob()], [bob(), unsuitable()]] {
            resolve_with(&client, &image, &credentials(&order))
                .await
                .expect("bob may");
        }
    }
}

#[tokio::test]
async fn a_scheme_that_the_client_does_not_support_ends_the_search() {
    let server = Server::start(|_| status(401).with("www-authenticate", "Negotiate")).await;
    let both = credentials(&[alice(), bob()]);
    let error = resolve_with(&client(), &server.image("web:1"), &both).await;
    let error = error.expect_err("unsupported");
    assert_eq!(error.kind(), ErrorKind::UnsupportedChallenge);
    assert!(error.refusals().is_empty(), "{error}");
    assert_eq!(server.log().len(), 1, "nothing is presented");
}

#[tokio::test]
async fn no_more_than_five_credentials_are_tried() {
    let server = Server::start(|_| status(401).with("www-authenticate", "Basic")).await;
    let many: CredentialChain = (0..20)
        .map(|number| Credential::password("u", number.to_string()))
        .collect();
    let client = client();
    resolve_with(&client, &server.image("web:1"), &many)
        .await
        .expect_err("refused");
    assert_eq!(server.count(presented), 5);
    // Those that are left alone meanwhile cost nothing.
    resolve_with(&client, &server.image("web:1"), &many)
        .await
        .expect_err("refused");
    assert_eq!(server.count(presented), 10);
}

#[tokio::test]
async fn a_wrong_password_is_presented_once_by_all_workloads_together() {
    for script in [basic, bearer] {
        let server = Server::start(script).await;
        let client = client();
        let wrong = credentials(&[alice()]);
        let images: Vec<_> = (0..100)
            .map(|number| server.image(&format!("app{number}:1")))
            .collect();
        let all = join_all(
            images
                .iter()
                .map(|image| resolve_with(&client, image, &wrong)),
        )
        .await;
        let kinds: Vec<_> = all
            .into_iter()
            .map(|result| result.expect_err("refused").kind())
            .collect();
        let reported = kinds
            .iter()
            .filter(|kind| **kind == ErrorKind::Unauthorized)
            .count();
        let kept = kinds
            .iter()
            .filter(|kind| **kind == ErrorKind::CredentialQuarantined)
            .count();
        assert_eq!((reported, kept), (1, 99));
        for _ in 0..29 {
            pass(10).await;
            let error = resolve_with(&client, &images[0], &wrong)
                .await
                .expect_err("quarantined");
            assert_eq!(error.kind(), ErrorKind::CredentialQuarantined);
            assert!(
                error
                    .retry_after()
                    .is_some_and(|wait| wait <= Duration::from_secs(300))
            );
        }
        assert_eq!(server.count(presented), 1, "in almost five minutes");
        assert_eq!(client.quarantined(), [(server.host(), 1)].into());
    }
}

#[tokio::test]
async fn the_backoff_of_a_refused_credential_doubles() {
    let server = Server::start(basic).await;
    let client = client();
    let image = server.image("web:1");
    let wrong = credentials(&[alice()]);
    let mut minutes = Vec::new();
    let mut since = 0;
    for minute in 0..400 {
        let before = server.count(presented);
        resolve_with(&client, &image, &wrong)
            .await
            .expect_err("refused");
        if server.count(presented) > before {
            minutes.push(minute - since);
            since = minute;
        }
        pass(60).await;
    }
    assert_eq!(minutes, [0, 5, 10, 20, 40, 80, 80, 80, 80]);
}

#[tokio::test]
async fn a_corrected_secret_is_tried_at_once() {
    let server = Server::start(bearer).await;
    let client = client();
    let image = server.image("web:1");
    let wrong = credentials(&[Credential::password("bob", "typo")]);
    resolve_with(&client, &image, &wrong)
        .await
        .expect_err("refused");
    resolve_with(&client, &image, &credentials(&[bob()]))
        .await
        .expect("corrected");
}

#[tokio::test]
async fn a_denied_repository_does_not_affect_the_others() {
    let server = Server::start(bearer).await;
    let client = client();
    let good = credentials(&[bob()]);
    let secret = server.image("secret:1");
    let images: Vec<_> = (0..99)
        .map(|number| server.image(&format!("app{number}:1")))
        .collect();
    for _ in 0..3 {
        resolve_with(&client, &secret, &good)
            .await
            .expect_err("forbidden");
        let all = join_all(
            images
                .iter()
                .map(|image| resolve_with(&client, image, &good)),
        )
        .await;
        assert!(all.iter().all(Result::is_ok));
        pass(10).await;
    }
    let error = resolve_with(&client, &secret, &good)
        .await
        .expect_err("forbidden");
    assert_eq!(error.kind(), ErrorKind::CredentialQuarantined);
    assert_eq!(
        client.quarantined(),
        [].into(),
        "the credential itself is good"
    );
    let requests = server
        .count(|request| request.target.contains("/secret/") && request.authorization().is_some());
    assert_eq!(requests, 1);
}

#[tokio::test]
async fn a_403_quarantines_the_repository_and_artifactorys_the_credential() {
    for (marker, refused) in [
        ("x-other", 0),
        ("x-jfrog-version", 1),
        ("x-artifactory-id", 1),
    ] {
        let server = Server::start(move |request| {
            if request.authorization().is_some() {
                return status(403).with(marker, "1");
            }
            status(401).with("www-authenticate", "Basic")
        })
        .await;
        let client = client();
        let bob = credentials(&[bob()]);
        let error = resolve_with(&client, &server.image("web:1"), &bob)
            .await
            .expect_err("refused");
        assert_eq!(error.kind(), ErrorKind::Denied, "{marker}");
        let error = resolve_with(&client, &server.image("web:1"), &bob)
            .await
            .expect_err("refused");
        assert_eq!(error.kind(), ErrorKind::CredentialQuarantined, "{marker}");
        assert_eq!(client.quarantined().len(), refused, "{marker}");
        let before = server.count(presented);
        resolve_with(&client, &server.image("other:1"), &bob)
            .await
            .expect_err("refused");
        let presented = server.count(presented) - before;
        assert_eq!(presented > 0, refused == 0, "{marker}");
    }
}

#[tokio::test]
async fn a_changed_password_fails_once_and_not_for_each_request_in_flight() {
    let changed = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let seen = std::sync::Arc::clone(&changed);
    let server = Server::start(move |request| {
        if seen.load(std::sync::atomic::Ordering::SeqCst) {
            return status(401).with("www-authenticate", "Basic");
        }
        basic(request)
    })
    .await;
    let client = client();
    let bob = credentials(&[bob()]);
    let images: Vec<_> = (0..20)
        .map(|number| server.image(&format!("app{number}:1")))
        .collect();
    let all = join_all(
        images
            .iter()
            .map(|image| resolve_with(&client, image, &bob)),
    )
    .await;
    assert!(all.iter().all(Result::is_ok));
    let before = server.count(presented);
    assert_eq!(before, 20);
    changed.store(true, std::sync::atomic::Ordering::SeqCst);
    pass(45).await;
    join_all(
        images
            .iter()
            .map(|image| resolve_with(&client, image, &bob)),
    )
    .await;
    assert_eq!(server.count(presented) - before, 1);
}
