//! Which credentials are presented, in which order, and to which server.

use kube_autorollout_registry::{Credential, CredentialChain, ErrorKind};

use crate::script::{
    Answer, ReceivedRequest, Server, alice, bob, client, credentials, index, pass, resolve_with,
    status, token,
};

const BOB: &str = "Basic Ym9iOmJvYi1zZWNyZXQ=";

pub(crate) fn presented(request: &ReceivedRequest) -> bool {
    request
        .authorization()
        .is_some_and(|sent| sent.starts_with("Basic"))
}

/// Accepts bob only, with Basic.
pub(crate) fn basic(request: &ReceivedRequest) -> Answer {
    match request.authorization() {
        Some(BOB) => index("{}"),
        _ => status(401).with("www-authenticate", r#"Basic realm="x""#),
    }
}

/// Accepts bob only, with tokens that read everything but `secret`.
pub(crate) fn bearer(request: &ReceivedRequest) -> Answer {
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
