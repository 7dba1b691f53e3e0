//! How often a credential that was refused is presented.

use std::time::Duration;

use futures::future::join_all;
use kube_autorollout_registry::{Credential, ErrorKind};

use crate::{
    credentials::{basic, bearer, presented},
    script::{Server, alice, bob, client, credentials, pass, resolve_with, status},
};

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
