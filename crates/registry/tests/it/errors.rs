//! What an error reports: status, codes, message, and whether a retry makes sense.

use std::time::Duration;

use http::Method;
use kube_autorollout_registry::{Error, ErrorKind};

use crate::{
    authentication::{ALICE, challenge},
    script::{
        self, Answer, Server, alice, client, credentials, index_without_digest, resolve,
        resolve_with, status,
    },
};

fn denied(message: &str) -> Answer {
    let body = format!(r#"{{"errors":[{{"code":"DENIED","message":"{message}"}}]}}"#);
    status(403)
        .with("content-type", "application/json")
        .body(&body)
}

/// Fetches a manifest from a registry with this response.
async fn read(answer: Answer) -> Error {
    let server = Server::start(move |_| answer.clone()).await;
    let read = script::manifest(&client(), &server.image("web:1"), "{}").await;
    read.expect_err("a failure")
}

#[tokio::test]
async fn the_error_contains_the_registrys_codes_and_message() {
    let error = read(denied("requested access to the resource is denied")).await;
    assert_eq!(
        (error.kind(), error.status(), error.codes()),
        (ErrorKind::Denied, Some(403), &["DENIED".to_owned()][..])
    );
    let said = "requested access to the resource is denied";
    assert_eq!(error.message(), Some(said));
    let text = error.to_string();
    assert!(text.ends_with(&format!(" (DENIED: {said})")), "{text}");

    let policy = r#"{"errors":[{"code":"PRECONDITION","message":"vulnerabilities"}]}"#;
    let error = read(status(412).body(policy)).await;
    assert_eq!(error.status(), Some(412));
    assert!(error.to_string().contains("vulnerabilities"), "{error}");

    let error = read(status(404)).await;
    assert_eq!((error.codes(), error.message()), (&[][..], None));
    assert!(!error.to_string().contains('('), "{error}");
    let error = read(index_without_digest("other")).await;
    assert_eq!(error.status(), None, "{error}");
}

#[tokio::test]
async fn the_error_contains_the_token_servers_codes_and_message() {
    let server = Server::start(|request| {
        if request.is_token() {
            return status(401).body(r#"{"details":"incorrect username or password"}"#);
        }
        challenge(request, "")
    })
    .await;
    let alice = credentials(&[alice()]);
    let error = resolve_with(&client(), &server.image("web:1"), &alice).await;
    let error = error.expect_err("refused");
    assert_eq!(error.status(), Some(401));
    let text = error.to_string();
    assert!(text.contains("incorrect username or password"), "{text}");
}

#[tokio::test]
async fn only_the_first_bytes_of_a_failure_are_read_and_an_echoed_secret_is_dropped() {
    for endless in [status(403).endless(), status(403).stuck()] {
        assert_eq!(read(endless).await.kind(), ErrorKind::Denied);
    }
    let server = Server::start(|request| {
        if request.authorization() == Some(ALICE) {
            return denied(&format!("{ALICE} is alice-secret"));
        }
        status(401).with("www-authenticate", "Basic")
    })
    .await;
    let alice = credentials(&[alice()]);
    let digest = "sha256:6c3c624b58dbbcd3c0dd82b4c53f04194d1247c6eebdaab7c610cf7d66709b3b";
    let digest = digest.parse().expect("a digest");
    let image = server.image("web:1");
    let error = client().manifest(&image, &digest, &alice).await;
    let error = error.expect_err("refused");
    assert_eq!((error.status(), error.codes().len()), (Some(403), 1));
    let shown = format!("{error} {error:?}");
    assert!(
        !shown.contains("alice-secret") && !shown.contains("YWxpY2U6"),
        "{shown}"
    );
}

#[tokio::test]
async fn transient_failures_are_distinguished() {
    let cases = [
        (status(500), true, None),
        (status(503).with("retry-after", "600"), true, Some(600)),
        (status(503).with("retry-after", "99999"), true, Some(3600)),
        (status(429).with("retry-after", "60"), true, Some(60)),
        (status(404), false, None),
        (status(403), false, None),
        (status(400), false, None),
        (status(401).with("www-authenticate", "Basic"), false, None),
        (index_without_digest("other"), false, None),
    ];
    for (answer, transient, seconds) in cases {
        let error = read(answer).await;
        assert_eq!(error.is_transient(), transient, "{error}");
        let wait = seconds.map(Duration::from_secs);
        assert_eq!(error.retry_after(), wait, "{error}");
    }
    let server = Server::start(|request| {
        if request.is_token() {
            status(502).with("retry-after", "30")
        } else {
            challenge(request, "")
        }
    })
    .await;
    let error = resolve(&client(), &server.image("web:1")).await;
    let error = error.expect_err("no token");
    assert_eq!(error.kind(), ErrorKind::TokenServer);
    assert!(error.is_transient());
    assert_eq!(error.retry_after(), Some(Duration::from_secs(30)));
}

#[tokio::test]
async fn the_message_of_a_pull_limit_is_reported() {
    let text = "You have reached your unauthenticated pull rate limit.";
    let body = format!(r#"{{"errors":[{{"code":"TOOMANYREQUESTS","message":"{text}"}}]}}"#);
    let server = Server::start(move |request| match request.method {
        Method::HEAD => status(405),
        _ => status(429).body(&body),
    })
    .await;
    let error = resolve(&client(), &server.image("web:1")).await;
    let error = error.expect_err("limited");
    assert_eq!(error.codes(), ["TOOMANYREQUESTS"]);
    assert!(error.to_string().contains(text), "{error}");
}
