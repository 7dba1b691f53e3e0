//! Challenges, tokens, and the results that callers get.

use std::sync::Arc;

use futures::future::join_all;
use kube_autorollout_registry::{AuthMethod, Credential, ErrorKind};
use tokio::sync::Semaphore;

use crate::script::{
    Answer, ReceivedRequest, Server, alice, build, client, credentials, index, options, pass,
    resolve, resolve_with, status, token,
};

pub(crate) const ALICE: &str = "Basic YWxpY2U6YWxpY2Utc2VjcmV0";

pub(crate) fn challenge(request: &ReceivedRequest, parameters: &str) -> Answer {
    let host = &request.host;
    status(401).with(
        "www-authenticate",
        &format!(r#"Bearer realm="http://{host}/token"{parameters}"#),
    )
}

/// Requires a token for each repository, named after the scope and the user.
fn token_registry(request: &ReceivedRequest) -> Answer {
    if request.is_token() {
        let user = request.authorization().map_or("nobody", |_| "alice");
        let scope = request.target.rsplit("scope=").next().expect("a scope");
        return token(&format!("{user}.{scope}"));
    }
    let repository = request
        .target
        .trim_start_matches("/v2/")
        .split("/manifests")
        .next()
        .expect("a path");
    let scope = format!("repository%3A{}%3Apull", repository.replace('/', "%2F"));
    match request.authorization() {
        Some(sent) if sent.starts_with("Bearer ") && sent.ends_with(&scope) => index("{}"),
        _ => challenge(
            request,
            &format!(r#",service="registry",scope="repository:{repository}:pull""#),
        ),
    }
}

#[tokio::test]
async fn a_token_is_fetched_for_a_challenge_and_cached() {
    let server = Server::start(token_registry).await;
    let client = client();
    let alice = credentials(&[alice()]);
    let head = "HEAD /v2/team/web/manifests/1";
    let resolved = resolve_with(&client, &server.image("team/web:1"), &alice)
        .await
        .expect("resolved");
    assert_eq!(resolved.auth_method, AuthMethod::Bearer);
    let token = "GET /token?service=registry&scope=repository%3Ateam%2Fweb%3Apull";
    assert_eq!(server.lines(), [head, token, head]);
    assert_eq!(
        server.log()[0].authorization(),
        None,
        "nothing is shown unasked"
    );
    assert_eq!(server.log()[1].authorization(), Some(ALICE));
    assert_eq!(
        server.log()[2].authorization(),
        Some("Bearer alice.repository%3Ateam%2Fweb%3Apull")
    );

    resolve_with(&client, &server.image("team/web:1"), &alice)
        .await
        .expect("resolved");
    assert_eq!(server.log().len(), 4, "from then on one HEAD a check");
    resolve_with(&client, &server.image("other:1"), &alice)
        .await
        .expect("resolved");
    assert_eq!(
        server.lines()[4..],
        [
            "GET /token?service=registry&scope=repository%3Aother%3Apull",
            "HEAD /v2/other/manifests/1"
        ],
        "the challenge is known for the whole registry",
    );
}

#[tokio::test]
async fn a_token_is_not_shared_between_credentials() {
    let server = Server::start(token_registry).await;
    let client = client();
    let image = server.image("web:1");
    let resolved = resolve(&client, &image).await.expect("resolved");
    assert_eq!(resolved.auth_method, AuthMethod::Anonymous);
    resolve_with(&client, &image, &credentials(&[alice()]))
        .await
        .expect("resolved");
    let sent: Vec<_> = server
        .log()
        .iter()
        .filter(|request| request.is_token())
        .cloned()
        .collect();
    assert_eq!(sent.len(), 2);
    assert_eq!(
        (sent[0].authorization(), sent[1].authorization()),
        (None, Some(ALICE))
    );
}

#[tokio::test]
async fn concurrent_callers_cause_one_token_request() {
    let go = Arc::new(Semaphore::new(0));
    let hold = Arc::clone(&go);
    let server = Server::start(move |request| {
        let answer = token_registry(request);
        if request.is_token() {
            answer.hold(&hold)
        } else {
            answer
        }
    })
    .await;
    let client = client();
    let alice = credentials(&[alice()]);
    let image = server.image("web:1");
    let all = join_all((0..50).map(|_| resolve_with(&client, &image, &alice)));
    let (all, ()) = tokio::join!(all, async { go.add_permits(1) });
    assert!(all.iter().all(Result::is_ok));
    assert_eq!(server.count(ReceivedRequest::is_token), 1);
}

#[tokio::test]
async fn a_refused_token_is_replaced_once() {
    // The registry forgets its first token.
    let issued = std::sync::atomic::AtomicUsize::new(0);
    let valid = Arc::new(std::sync::atomic::AtomicUsize::new(1));
    let current = Arc::clone(&valid);
    let server = Server::start(move |request| {
        use std::sync::atomic::Ordering::SeqCst;
        if request.is_token() {
            return token(&format!("t{}", issued.fetch_add(1, SeqCst) + 1));
        }
        if request.authorization() == Some(&format!("Bearer t{}", current.load(SeqCst))) {
            return index("{}");
        }
        challenge(request, r#",error="invalid_token""#)
    })
    .await;
    let client = client();
    let image = server.image("web:1");
    resolve(&client, &image).await.expect("resolved");
    valid.store(2, std::sync::atomic::Ordering::SeqCst);
    resolve(&client, &image)
        .await
        .expect("resolved with another token");
    assert_eq!(server.count(ReceivedRequest::is_token), 2);
    assert_eq!(
        server.log().len(),
        3 + 3,
        "refused, another token, resolved"
    );
}

#[tokio::test(flavor = "current_thread")]
async fn a_token_is_used_until_shortly_before_it_expires() {
    let server = Server::start(|request| {
        if request.is_token() {
            status(200).body(r#"{"access_token":"t"}"#) // no expires_in: 60 s
        } else if request.authorization() == Some("Bearer t") {
            index("{}")
        } else {
            challenge(request, "")
        }
    })
    .await;
    let client = client();
    let image = server.image("web:1");
    for (passed, expected) in [(0, 1), (45, 1), (8, 1), (2, 2), (45, 2)] {
        pass(passed).await;
        resolve(&client, &image).await.expect("resolved");
        assert_eq!(
            server.count(ReceivedRequest::is_token),
            expected,
            "{passed} s later"
        );
    }
}

#[tokio::test]
async fn additional_scopes_of_a_challenge_are_requested() {
    let server = Server::start(|request| match (request.is_token(), request.authorization()) {
        (true, _)
            if request
                .target
                .ends_with("?scope=repository%3Aweb%3Apull&scope=repository%3Aupstream%3Apull") =>
        {
            token("both")
        }
        (true, _) => token("one"),
        (false, Some("Bearer both")) => index("{}"),
        _ => challenge(
            request,
            r#",error="insufficient_scope",scope="repository:web:pull repository:upstream:pull""#,
        ),
    })
    .await;
    let client = client();
    resolve(&client, &server.image("web:1"))
        .await
        .expect("resolved");
    resolve(&client, &server.image("web:1"))
        .await
        .expect("resolved");
    assert_eq!(server.count(ReceivedRequest::is_token), 1);
}

#[tokio::test]
async fn identity_tokens_are_posted_and_only_an_unknown_method_leads_to_get() {
    let answer = |code: u16| {
        move |request: &ReceivedRequest| match (
            request.is_token(),
            request.method.as_str(),
            request.authorization(),
        ) {
            (true, "POST", _) if code == 200 => status(200).body(r#"{"access_token":"ok"}"#),
            (true, "POST", _) => status(code),
            (true, "GET", Some(_)) => token("ok"),
            (false, _, Some("Bearer ok")) => index("{}"),
            _ => challenge(request, r#",service="acr""#),
        }
    };
    let identity = credentials(&[Credential::identity("0000", "refresh me")]);
    for (code, resolved, requests) in [
        (200, true, 1),
        (404, true, 2),
        (405, true, 2),
        (401, false, 1),
        (400, false, 1),
    ] {
        let server = Server::start(answer(code)).await;
        let client = build(options().client_id("my-tool"));
        let result = resolve_with(&client, &server.image("web:1"), &identity).await;
        assert_eq!(result.is_ok(), resolved, "{code}");
        assert_eq!(server.count(ReceivedRequest::is_token), requests, "{code}");
        let post = server
            .log()
            .into_iter()
            .find(ReceivedRequest::is_token)
            .expect("a token request");
        assert_eq!(
            post.body,
            "grant_type=refresh_token&service=acr&client_id=my-tool&scope=repository%3Aweb%3Apull\
             &refresh_token=refresh+me"
        );
        assert_eq!(post.authorization(), None);
    }
}

#[tokio::test]
async fn a_bearer_credential_is_sent_unchanged() {
    let server = Server::start(|request| match request.authorization() {
        Some("Bearer registry-token") => index("{}"),
        _ => challenge(request, ""),
    })
    .await;
    let bearer = credentials(&[Credential::bearer("registry-token")]);
    let resolved = resolve_with(&client(), &server.image("web:1"), &bearer)
        .await
        .expect("resolved");
    assert_eq!(resolved.auth_method, AuthMethod::Bearer);
    assert_eq!(server.count(ReceivedRequest::is_token), 0);
}

#[tokio::test]
async fn anonymous_refusals_are_distinguished() {
    let server = Server::start(|_| status(401).with("www-authenticate", "Basic")).await;
    let nobody = resolve(&client(), &server.image("web:1"))
        .await
        .expect_err("refused");
    let somebody = resolve_with(&client(), &server.image("web:1"), &credentials(&[alice()])).await;
    let somebody = somebody.expect_err("refused");
    assert_eq!(
        (nobody.kind(), somebody.kind()),
        (ErrorKind::Unauthorized, ErrorKind::Unauthorized)
    );
    assert!(nobody.is_anonymous() && !somebody.is_anonymous());
    assert_ne!(nobody.to_string(), somebody.to_string());
}

#[tokio::test]
async fn unsupported_schemes_are_reported() {
    let cases = [
        (vec!["Negotiate", "NTLM"], "negotiate, ntlm", 1),
        // The base might have one.
        (vec![], "no named scheme", 2),
        (vec!["Bearer"], "without a usable realm", 1),
        (
            vec![r#"Bearer realm="not an address""#],
            "without a usable realm",
            1,
        ),
    ];
    for (lines, expected, requests) in cases {
        let server = Server::start(move |_| {
            lines.iter().fold(status(401), |answer, line| {
                answer.with("www-authenticate", line)
            })
        })
        .await;
        let error = resolve_with(&client(), &server.image("web:1"), &credentials(&[alice()])).await;
        let error = error.expect_err("unsupported");
        assert_eq!(error.kind(), ErrorKind::UnsupportedChallenge);
        assert!(error.to_string().contains(expected), "{error}");
        assert_eq!(server.log().len(), requests, "{expected}");
    }
}

#[tokio::test]
async fn a_failing_token_server_has_its_own_kind() {
    let cases: [(Answer, ErrorKind); 6] = [
        (status(500), ErrorKind::TokenServer),
        (status(404), ErrorKind::TokenServer),
        (status(200).body("<html>"), ErrorKind::TokenServer),
        (status(200).body("{}"), ErrorKind::TokenServer),
        (status(401), ErrorKind::Unauthorized),
        (status(429), ErrorKind::RateLimited),
    ];
    for (answer, expected) in cases {
        let server = Server::start(move |request| {
            if request.is_token() {
                answer.clone()
            } else {
                challenge(request, "")
            }
        })
        .await;
        let error = resolve(&client(), &server.image("web:1"))
            .await
            .expect_err("no token");
        assert_eq!(error.kind(), expected, "{error}");
    }
}

#[tokio::test]
async fn an_external_token_server_gets_the_credential_and_the_registry_does_not() {
    let issuer = Server::start(|_| token("issued")).await;
    let realm = format!(
        r#"Bearer realm="http://{}/token",service="s""#,
        issuer.host()
    );
    let registry = Server::start(move |request| match request.authorization() {
        Some("Bearer issued") => index("{}"),
        _ => status(401).with("www-authenticate", &realm),
    })
    .await;
    let client = client();
    resolve_with(&client, &registry.image("web:1"), &credentials(&[alice()]))
        .await
        .expect("resolved");
    assert_eq!(issuer.log()[0].authorization(), Some(ALICE));
    assert_eq!(
        registry.count(|request| request.authorization() == Some(ALICE)),
        0
    );
}
