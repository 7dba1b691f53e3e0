//! Realms and schemes, which a registry may change.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering::SeqCst},
};

use futures::future::join_all;
use http::Method;
use kube_autorollout_registry::{AuthMethod, Credential, ErrorKind};

use crate::{
    authentication::{ALICE, challenge},
    script::{
        Answer, ReceivedRequest, Server, alice, client, credentials, index, pass, resolve,
        resolve_with, status, token,
    },
};

/// A registry with a configurable challenge. It accepts `Bearer issued` and alice's password, if the challenge
/// offers the scheme.
async fn registry(challenge: &Arc<Mutex<String>>) -> Server {
    let challenge = Arc::clone(challenge);
    Server::start(move |request| {
        let challenge = challenge.lock().expect("sound").clone();
        match request.authorization() {
            Some("Bearer issued") if challenge.starts_with("Bearer") => index("{}"),
            Some(ALICE) if challenge == "Basic" => index("{}"),
            _ => status(401).with("www-authenticate", &challenge),
        }
    })
    .await
}

async fn issuer() -> Server {
    Server::start(|request| match request.authorization() {
        Some(ALICE) => token("issued"),
        _ => status(401),
    })
    .await
}

fn realm_of(issuer: &Server) -> String {
    format!(r#"Bearer realm="http://{}/token""#, issuer.host())
}

/// The ways in which an old token server may fail.
async fn moved_token_server(answer: Option<Answer>) -> (Server, Arc<Mutex<Answer>>) {
    let answer = Arc::new(Mutex::new(answer.unwrap_or_else(|| token("issued"))));
    let current = Arc::clone(&answer);
    let server = Server::start(move |_| current.lock().expect("sound").clone()).await;
    (server, answer)
}

#[tokio::test]
async fn a_token_server_that_moves_is_followed_at_the_next_check() {
    let cases = [
        status(404),
        status(401),
        status(403),
        status(400),
        status(500),
        status(200).body("<html>"),
        status(302).with("location", "http://10.0.0.1/login"),
    ];
    for gone in cases {
        let (old, answer) = moved_token_server(None).await;
        let challenge = Arc::new(Mutex::new(realm_of(&old)));
        let server = registry(&challenge).await;
        let (client, alice) = (client(), credentials(&[alice()]));
        for image in ["web:1", "api:1"] {
            resolve_with(&client, &server.image(image), &alice)
                .await
                .expect("resolved");
        }
        let new = issuer().await;
        *challenge.lock().expect("sound") = realm_of(&new);
        *answer.lock().expect("sound") = gone;
        pass(400).await; // the tokens are over
        let images = ["web:1", "api:1", "new:1"].map(|image| server.image(image));
        for image in &images {
            resolve_with(&client, image, &alice)
                .await
                .expect("followed in the same call");
        }
        assert!(client.quarantined().is_empty(), "the password is right");
        let before = old.log().len();
        pass(400).await;
        let again = images
            .iter()
            .map(|image| resolve_with(&client, image, &alice));
        assert!(join_all(again).await.iter().all(Result::is_ok));
        assert_eq!(old.log().len(), before, "no further request");
    }
}

#[tokio::test]
async fn an_unreachable_token_server_is_forgotten() {
    let old = issuer().await;
    let challenge = Arc::new(Mutex::new(realm_of(&old)));
    let server = registry(&challenge).await;
    let (client, alice) = (client(), credentials(&[alice()]));
    resolve_with(&client, &server.image("web:1"), &alice)
        .await
        .expect("resolved");
    let new = issuer().await;
    *challenge.lock().expect("sound") = realm_of(&new);
    drop(old);
    pass(400).await;
    for image in ["web:1", "other:1"] {
        resolve_with(&client, &server.image(image), &alice)
            .await
            .expect("followed");
    }
}

#[tokio::test]
async fn a_registry_may_change_from_tokens_to_passwords_and_back() {
    let issuer = issuer().await;
    let challenge = Arc::new(Mutex::new(realm_of(&issuer)));
    let server = registry(&challenge).await;
    let (client, alice) = (client(), credentials(&[alice()]));
    let image = server.image("web:1");
    let check = async |wanted: &str, expected: AuthMethod| {
        wanted.clone_into(&mut challenge.lock().expect("sound"));
        let resolved = resolve_with(&client, &image, &alice).await;
        assert_eq!(resolved.expect(wanted).auth_method, expected);
    };
    // The token server goes on issuing tokens all the while.
    check(&realm_of(&issuer), AuthMethod::Bearer).await;
    check("Basic", AuthMethod::Basic).await;
    check("Basic", AuthMethod::Basic).await;
    check(&realm_of(&issuer), AuthMethod::Bearer).await;
    assert!(client.quarantined().is_empty());
}

#[tokio::test]
async fn a_failure_of_the_current_token_server_is_reported() {
    for (answer, kind, quarantined) in [
        (status(401), ErrorKind::Unauthorized, 1),
        (status(500), ErrorKind::TokenServer, 0),
        (status(429), ErrorKind::RateLimited, 0),
    ] {
        let (old, current) = moved_token_server(None).await;
        let challenge = Arc::new(Mutex::new(realm_of(&old)));
        let server = registry(&challenge).await;
        let (client, alice) = (client(), credentials(&[alice()]));
        let image = server.image("web:1");
        resolve_with(&client, &image, &alice)
            .await
            .expect("resolved");
        *current.lock().expect("sound") = answer;
        pass(400).await;
        let before = old.log().len();
        let error = resolve_with(&client, &image, &alice).await;
        assert_eq!(error.expect_err("no token").kind(), kind);
        assert_eq!(client.quarantined().len(), quarantined, "{kind}");
        assert_eq!(old.log().len() - before, 1, "{kind}: presented once");
    }
}

#[tokio::test]
async fn a_challenge_is_remembered_for_an_hour() {
    let issuer = issuer().await;
    let challenge = Arc::new(Mutex::new(realm_of(&issuer)));
    let server = registry(&challenge).await;
    let (client, alice) = (client(), credentials(&[alice()]));
    let image = server.image("web:1");
    for seconds in [0, 1800, 1801] {
        pass(seconds).await;
        resolve_with(&client, &image, &alice)
            .await
            .expect("resolved");
    }
    let unauthorized = server.count(|request| request.authorization().is_none());
    assert_eq!(unauthorized, 2, "at the beginning, and after an hour");
}

#[tokio::test]
async fn a_realm_may_be_relative() {
    let server = Server::start(
        |request| match (request.is_token(), request.authorization()) {
            (true, Some(ALICE)) => token("t"),
            (false, Some("Bearer t")) => index("{}"),
            _ => status(401).with("www-authenticate", r#"Bearer realm="/token",service="s""#),
        },
    )
    .await;
    let alice = credentials(&[alice()]);
    resolve_with(&client(), &server.image("web:1"), &alice)
        .await
        .expect("resolved");
}

/// Responds with 404 without credentials, and sends a challenge at its base only.
fn hiding(request: &ReceivedRequest, code: u16) -> Answer {
    match (request.is_token(), request.authorization()) {
        (true, Some(ALICE)) => token("t"),
        (false, Some("Bearer t")) => index("{}"),
        (false, None) if request.target == "/v2/" => {
            challenge(request, r#",scope="registry:catalog:*""#)
        }
        _ => status(code),
    }
}

#[tokio::test]
async fn a_registry_that_hides_repositories_is_challenged_at_its_base() {
    for code in [401, 403, 404] {
        let server = Server::start(move |request| hiding(request, code)).await;
        let (client, alice) = (client(), credentials(&[alice()]));
        for image in ["web:1", "web:1", "other:1"] {
            let resolved = resolve_with(&client, &server.image(image), &alice).await;
            let resolved = resolved.expect(image);
            assert_eq!(resolved.auth_method, AuthMethod::Bearer, "{code}");
        }
        let base = server.count(|request| request.target == "/v2/");
        assert_eq!(base, 1, "it is remembered: {:?}", server.lines());
        let scopes = server.count(|request| request.target.contains("catalog"));
        assert_eq!(scopes, 0, "the base's own scope is not the manifest's");
        // Who has no credentials does not need to know.
        let server = Server::start(move |request| hiding(request, code)).await;
        resolve(&crate::script::client(), &server.image("web:1"))
            .await
            .expect_err("nothing for strangers");
        assert_eq!(server.count(|request| request.target == "/v2/"), 0);
    }
}

#[tokio::test]
async fn a_base_without_challenge_is_requested_once_an_hour() {
    let server = Server::start(|_| status(403)).await;
    let (client, alice) = (client(), credentials(&[alice()]));
    for number in 0..10 {
        let image = server.image(&format!("app{number}:1"));
        let error = resolve_with(&client, &image, &alice).await;
        assert_eq!(error.expect_err("closed").kind(), ErrorKind::Denied);
    }
    assert_eq!(server.count(|request| request.target == "/v2/"), 1);
    assert!(client.quarantined().is_empty(), "nothing was presented");
}

#[tokio::test]
async fn all_users_of_a_refused_token_succeed_with_the_next_one() {
    const CALLERS: usize = 10;
    let (issued, refused) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let server = Server::start(move |request| {
        if request.is_token() {
            return token(&format!("t{}", issued.fetch_add(1, SeqCst) + 1));
        }
        match request.authorization() {
            None => challenge(request, ""),
            // The first token is not known yet where it is needed.
            Some("Bearer t1") => {
                refused.fetch_add(1, SeqCst);
                challenge(request, r#",error="invalid_token""#)
            }
            Some(_) => index("{}"),
        }
    })
    .await;
    let (client, alice) = (client(), credentials(&[alice()]));
    let images: Vec<_> = (0..CALLERS)
        .map(|number| server.image(&format!("web:{number}")))
        .collect();
    let all = images
        .iter()
        .map(|image| resolve_with(&client, image, &alice));
    for one in join_all(all).await {
        one.expect("in with the second token");
    }
    assert_eq!(server.count(ReceivedRequest::is_token), 2);
    let again = images
        .iter()
        .map(|image| resolve_with(&client, image, &alice));
    assert!(join_all(again).await.iter().all(Result::is_ok));
}

#[tokio::test]
async fn a_login_at_a_failing_token_server_is_not_retried() {
    for identity in [false, true] {
        for code in [500, 503] {
            let server = Server::start(move |request| {
                if request.is_token() {
                    status(code)
                } else {
                    challenge(request, "")
                }
            })
            .await;
            let who = if identity {
                Credential::identity("0000", "refresh")
            } else {
                alice()
            };
            let error = resolve_with(&client(), &server.image("web:1"), &credentials(&[who])).await;
            assert_eq!(error.expect_err("no token").kind(), ErrorKind::TokenServer);
            assert_eq!(server.count(ReceivedRequest::is_token), 1, "{code}");
            // Who asks without credentials risks nothing.
            resolve(&client(), &server.image("web:1"))
                .await
                .expect_err("no token");
            assert_eq!(server.count(ReceivedRequest::is_token), 5, "{code}");
        }
    }
}

#[tokio::test]
async fn an_invalid_refresh_token_is_a_refusal() {
    let server = Server::start(|request| {
        if request.method == Method::POST {
            status(400).body(r#"{"error":"invalid_grant"}"#)
        } else {
            challenge(request, "")
        }
    })
    .await;
    let who = Credential::identity("0000", "refresh");
    let (client, who) = (client(), credentials(&[who]));
    for image in ["web:1", "other:1"] {
        resolve_with(&client, &server.image(image), &who)
            .await
            .expect_err("refused");
    }
    assert_eq!(server.count(ReceivedRequest::is_token), 1);
    assert_eq!(client.quarantined(), [(server.host(), 1)].into());
}

#[tokio::test]
async fn an_anonymous_token_of_a_redirect_target_is_not_used() {
    let other = Server::start(|_| token("for-anybody")).await;
    let place = format!("http://{}/token", other.host());
    let server = Server::start(move |request| {
        if request.is_token() {
            status(307).with("location", &place)
        } else {
            challenge(request, "")
        }
    })
    .await;
    let (client, alice) = (client(), credentials(&[alice()]));
    let error = resolve_with(&client, &server.image("web:1"), &alice).await;
    let error = error.expect_err("no token of alice");
    assert_eq!(error.kind(), ErrorKind::RedirectRefused, "{error}");
    let sent = server.count(|request| request.authorization() == Some("Bearer for-anybody"));
    assert_eq!(sent, 0);
    assert!(
        client.quarantined().is_empty(),
        "the password was not refused"
    );
}
