//! Redirects, which leak no credential.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::SeqCst},
};

use kube_autorollout_registry::ErrorKind;
use tokio::sync::Semaphore;

use crate::{
    authentication::challenge,
    hostile::bearer,
    script::{
        self, Answer, ReceivedRequest, Server, alice, build, client, credentials, index, pass,
        resolve, resolve_with, status, token, until,
    },
};

#[tokio::test]
async fn redirects_are_followed_without_the_credential() {
    let elsewhere = Server::start(|_| index("{}")).await;
    let location = format!("http://{}/mirror/web?signature=1", elsewhere.host());
    for code in [301, 302, 303, 307, 308] {
        let location = location.clone();
        let server = Server::start(move |request| match request.authorization() {
            None => status(401).with("www-authenticate", "Basic"),
            Some(_) => status(code).with("location", &location),
        })
        .await;
        resolve_with(&client(), &server.image("web:1"), &credentials(&[alice()]))
            .await
            .expect("resolved");
    }
    assert_eq!(elsewhere.log().len(), 5);
    for request in elsewhere.log() {
        assert_eq!(
            (request.method.as_str(), request.authorization()),
            ("HEAD", None)
        );
        assert_eq!(request.target, "/mirror/web?signature=1");
    }
}

#[tokio::test]
async fn a_redirect_within_the_origin_keeps_the_credential() {
    let server =
        Server::start(
            |request| match (request.authorization(), request.target.as_str()) {
                (None, _) => status(401).with("www-authenticate", "Basic"),
                (Some(_), "/moved") => index("{}"),
                (Some(_), _) => status(307).with("location", "/moved"),
            },
        )
        .await;
    resolve_with(&client(), &server.image("web:1"), &credentials(&[alice()]))
        .await
        .expect("resolved");
}

#[tokio::test]
async fn another_registry_behind_a_redirect_gets_an_anonymous_request() {
    let elsewhere = Server::start(
        |request| match (request.is_token(), request.authorization()) {
            (true, _) => token("for-everybody"),
            (false, Some("Bearer for-everybody")) => index("{}"),
            _ => bearer(&format!("http://{}/token", request.host)),
        },
    )
    .await;
    let location = format!("http://{}/v2/mirror/manifests/1", elsewhere.host());
    let server = Server::start(move |request| match request.authorization() {
        None => status(401).with("www-authenticate", "Basic"),
        Some(_) => status(307).with("location", &location),
    })
    .await;
    resolve_with(&client(), &server.image("web:1"), &credentials(&[alice()]))
        .await
        .expect("resolved");
    assert_eq!(
        elsewhere.count(|request| request
            .authorization()
            .is_some_and(|sent| sent.contains("Basic"))),
        0
    );
}

/// A registry with `team/web` only, whose token server refuses requests with any unknown scope.
fn strict(request: &ReceivedRequest) -> Answer {
    let scope = "scope=repository%3Ateam%2Fweb%3Apull";
    match (request.is_token(), request.authorization()) {
        (true, None)
            if request.target.ends_with(scope) && request.target.matches("scope").count() == 1 =>
        {
            token("strict")
        }
        (true, _) => status(403),
        (false, Some("Bearer strict")) => index("{}"),
        _ => challenge(request, r#",service="b",scope="repository:team/web:pull""#),
    }
}

#[tokio::test]
async fn a_repository_with_another_name_behind_a_redirect_is_read_with_its_own_scope() {
    let elsewhere = Server::start(strict).await;
    let location = format!("http://{}/v2/team/web/manifests/1", elsewhere.host());
    let server = Server::start(move |request| match request.authorization() {
        None => status(401).with("www-authenticate", "Basic"),
        Some(_) => status(307).with("location", &location),
    })
    .await;
    let (client, alice) = (client(), credentials(&[alice()]));
    let image = server.image("web:1");
    for _ in 0..2 {
        resolve_with(&client, &image, &alice)
            .await
            .expect("resolved");
    }
    let (here, there) = (server.log().len(), elsewhere.log().len());
    for _ in 0..5 {
        pass(45).await;
        resolve_with(&client, &image, &alice)
            .await
            .expect("resolved");
    }
    let more = (server.log().len() - here, elsewhere.log().len() - there);
    assert_eq!(more, (5, 5), "two requests a check");
    // Once a token is over, it costs one more.
    pass(300).await;
    resolve_with(&client, &image, &alice)
        .await
        .expect("resolved");
    assert_eq!(elsewhere.log().len() - there, 5 + 2);
}

#[tokio::test]
async fn a_refused_token_behind_a_redirect_is_replaced() {
    let valid = Arc::new(AtomicUsize::new(1));
    let issued = AtomicUsize::new(0);
    let current = Arc::clone(&valid);
    let elsewhere = Server::start(move |request| {
        if request.is_token() {
            return token(&format!("t{}", issued.fetch_add(1, SeqCst) + 1));
        }
        let good = format!("Bearer t{}", current.load(SeqCst));
        if request.authorization() == Some(&good) {
            index("{}")
        } else {
            challenge(request, "")
        }
    })
    .await;
    let location = format!("http://{}/v2/web/manifests/1", elsewhere.host());
    let server = Server::start(move |_| status(307).with("location", &location)).await;
    let client = client();
    for token in [1, 1, 2, 2] {
        valid.store(token, SeqCst);
        resolve(&client, &server.image("web:1"))
            .await
            .expect("resolved");
    }
    assert_eq!(elsewhere.count(ReceivedRequest::is_token), 2);
}

#[tokio::test]
async fn checks_of_a_redirecting_registry_run_concurrently_after_the_first() {
    let go = Arc::new(Semaphore::new(1));
    let hold = Arc::clone(&go);
    let elsewhere = Server::start(|_| index("{}")).await;
    let location = format!("http://{}/web", elsewhere.host());
    let server = Server::start(move |request| match request.authorization() {
        None => status(401).with("www-authenticate", "Basic"),
        Some(_) => status(307).with("location", &location).hold(&hold),
    })
    .await;
    let (client, alice) = (client(), credentials(&[alice()]));
    resolve_with(&client, &server.image("web:1"), &alice)
        .await
        .expect("let in");
    let images: Vec<_> = (0..8)
        .map(|number| server.image(&format!("app{number}:1")))
        .collect();
    let all = images
        .iter()
        .map(|image| resolve_with(&client, image, &alice));
    let release = async {
        until(|| server.most_in_flight() >= 8).await;
        go.add_permits(8);
    };
    let (all, ()) = tokio::join!(futures::future::join_all(all), release);
    assert!(all.iter().all(Result::is_ok));
}

#[tokio::test]
async fn invalid_redirects_are_refused() {
    let cases = [
        ("/v2/web/manifests/1", "too many"),
        ("http://169.254.169.254/latest/meta-data", "private network"),
        ("http://localhost:1/", "private network"),
        ("http://user:password@127.0.0.1/", "no plain http"),
        ("ftp://127.0.0.1/", "no plain http"),
        ("http://[", "malformed"),
    ];
    for (location, expected) in cases {
        let server = Server::start(move |_| status(302).with("location", location)).await;
        let error = resolve(&client(), &server.image("web:1"))
            .await
            .expect_err(location);
        assert_eq!(error.kind(), ErrorKind::RedirectRefused, "{location}");
        assert!(error.to_string().contains(expected), "{location}: {error}");
        assert!(server.log().len() <= 6, "{location}");
    }
}

#[tokio::test]
async fn a_redirect_from_https_to_http_is_refused() {
    let spy = Server::start(|_| token("stolen")).await;
    let place = format!("http://{}/token", spy.host());
    let realm = place.clone();
    let answers: [Box<dyn Fn() -> Answer + Send + Sync>; 2] = [
        Box::new(move || status(307).with("location", &place)),
        Box::new(move || bearer(&realm)),
    ];
    for answer in answers {
        let server = Server::start_tls(move |_| answer()).await;
        let client = build(script::tls_options(&server));
        let error = resolve_with(&client, &server.image("web:1"), &credentials(&[alice()])).await;
        assert_eq!(
            error.expect_err("a downgrade").kind(),
            ErrorKind::RedirectRefused
        );
    }
    assert!(spy.log().is_empty());
}

#[tokio::test]
async fn a_token_server_that_redirects_loses_the_credential() {
    let spy = Server::start(|_| token("stolen")).await;
    let place = format!("http://{}/token", spy.host());
    let server = Server::start(move |request| {
        if request.is_token() {
            return status(307).with("location", &place);
        }
        bearer(&format!("http://{}/token", request.host))
    })
    .await;
    resolve_with(&client(), &server.image("web:1"), &credentials(&[alice()]))
        .await
        .expect_err("no token of alice");
    assert!(
        spy.log()
            .iter()
            .all(|request| request.authorization().is_none()),
        "{:?}",
        spy.log()
    );
}

#[tokio::test]
async fn a_redirect_of_a_token_server_to_a_private_network_is_refused() {
    let server = Server::start(|request| {
        if request.is_token() {
            return status(307).with("location", "http://169.254.169.254/latest/meta-data");
        }
        bearer(&format!("http://{}/token", request.host))
    })
    .await;
    let error = resolve_with(&client(), &server.image("web:1"), &credentials(&[alice()])).await;
    assert_eq!(
        error.expect_err("refused").kind(),
        ErrorKind::RedirectRefused
    );
}
