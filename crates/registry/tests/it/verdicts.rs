//! The scope of a refusal: a manifest, a repository, or a credential.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering::SeqCst},
};

use futures::future::join_all;
use http::Method;
use kube_autorollout_registry::{
    Credential, CredentialChain, Error, ErrorKind, Manifest, RegistryClient,
};
use kube_autorollout_testbed::image::digest_of;

use crate::{
    authentication::{ALICE, challenge},
    script::{
        Answer, ReceivedRequest, Server, alice, client, credentials, index, pass, resolve_with,
        status, token,
    },
};

const MARKER: &str = "x-artifactory-id";

/// The response of a registry to authenticated requests.
type Inside = fn(&ReceivedRequest) -> Answer;

/// How a registry authenticates requests.
type Registry = fn(&ReceivedRequest, Inside) -> Answer;

/// Accepts alice with Basic.
fn with_basic(request: &ReceivedRequest, inside: Inside) -> Answer {
    match request.authorization() {
        Some(ALICE) => inside(request),
        _ => status(401).with("www-authenticate", "Basic"),
    }
}

/// Accepts alice with tokens.
fn with_tokens(request: &ReceivedRequest, inside: Inside) -> Answer {
    match (request.is_token(), request.authorization()) {
        (true, Some(ALICE)) => token("alice"),
        (true, _) => status(401),
        (false, Some("Bearer alice")) => inside(request),
        _ => challenge(request, ""),
    }
}

/// Accepts all requests.
fn open(request: &ReceivedRequest, inside: Inside) -> Answer {
    inside(request)
}

/// Checks five images; returns how many were found.
async fn check(client: &RegistryClient, server: &Server) -> usize {
    let alice = credentials(&[alice()]);
    // The forbidden one is the first to be asked for.
    let images = ["a-secret:1", "b:1", "c:1", "d:1", "e:1"].map(|image| server.image(image));
    let all = images
        .iter()
        .map(|image| resolve_with(client, image, &alice));
    join_all(all).await.iter().filter(|one| one.is_ok()).count()
}

#[tokio::test]
async fn a_denied_repository_of_an_artifactory_does_not_affect_the_others() {
    let inside: Inside = |request| {
        if request.target.contains("secret") {
            status(403).with(MARKER, "1")
        } else {
            index("{}").with(MARKER, "1")
        }
    };
    // Some Artifactories refuse the token already.
    let at_the_token_server = move |request: &ReceivedRequest, inside: Inside| {
        if request.is_token() && request.target.contains("secret") {
            return status(403).with(MARKER, "1");
        }
        with_tokens(request, inside)
    };
    let kinds: [(&str, Registry); 3] = [
        ("Basic", with_basic),
        ("Bearer", with_tokens),
        ("no token", at_the_token_server),
    ];
    for (name, registry) in kinds {
        let server = Server::start(move |request| registry(request, inside)).await;
        let client = client();
        for tick in 0..20 {
            assert_eq!(check(&client, &server).await, 4, "{name}, tick {tick}");
            assert!(client.quarantined().is_empty(), "{name}, tick {tick}");
            pass(45).await;
        }
        let requests = server.count(|request| {
            request.authorization().is_some() && request.target.contains("secret")
        });
        assert!(requests <= 3 * 2, "{name}: {requests} in 15 minutes");
    }
}

#[tokio::test]
async fn a_login_that_artifactory_suspends_is_not_presented_for_ninety_seconds() {
    let inside: Inside = |_| status(403).with(MARKER, "1");
    let server = Server::start(move |request| with_basic(request, inside)).await;
    let client = client();
    let mut seconds = Vec::new();
    for second in (0..600).step_by(10) {
        let before = server.count(|request| request.authorization().is_some());
        check(&client, &server).await;
        if server.count(|request| request.authorization().is_some()) > before {
            seconds.push(second);
        }
        pass(10).await;
    }
    // Each time one repository finds out, which is then no longer presented itself.
    assert_eq!(seconds, [0, 90, 180, 270, 360, 450, 540]);
}

/// Refuses tokens like GHCR: for denied repositories, and for all if the credential has expired.
fn ghcr(expired: &Arc<AtomicBool>) -> impl Fn(&ReceivedRequest) -> Answer + use<> {
    let expired = Arc::clone(expired);
    move |request| {
        let forbidden = request.target.contains("secret");
        if request.is_token() && (forbidden || expired.load(SeqCst)) {
            return status(403).body(r#"{"errors":[{"code":"DENIED","message":"denied"}]}"#);
        }
        with_tokens(request, |_| index("{}"))
    }
}

fn fifty(server: &Server) -> Vec<kube_autorollout_registry::Reference> {
    let images = (0..50).map(|number| server.image(&format!("app{number}:1")));
    images.collect()
}

#[tokio::test]
async fn a_ghcr_token_that_is_denied_everywhere_has_expired() {
    let expired = Arc::new(AtomicBool::new(true));
    let server = Server::start(ghcr(&expired)).await;
    let (client, images, alice) = (client(), fifty(&server), credentials(&[alice()]));
    let presented = || server.count(ReceivedRequest::is_token);
    let mut minutes = vec![0; 60];
    for tick in 0..80 {
        let before = presented();
        let all = images
            .iter()
            .map(|image| resolve_with(&client, image, &alice));
        for error in join_all(all).await {
            let error = error.expect_err("denied");
            let reported = matches!(
                error.kind(),
                ErrorKind::Denied | ErrorKind::CredentialQuarantined
            );
            assert!(reported, "{error}");
            if error.kind() == ErrorKind::Denied {
                assert!(error.is_token_denied(), "{error}");
            }
        }
        minutes[tick * 45 / 60] += presented() - before;
        if tick == 0 {
            assert_eq!(client.quarantined(), [(server.host(), 1)].into());
        }
        pass(45).await;
    }
    for five in minutes.windows(5) {
        assert!(five.iter().sum::<usize>() <= 4, "{minutes:?}");
    }
    expired.store(false, SeqCst);
    for _ in 0..200 {
        pass(45).await;
        if resolve_with(&client, &images[49], &alice).await.is_ok() {
            return;
        }
    }
    panic!("a token that is good again is found out");
}

#[tokio::test]
async fn an_expired_ghcr_token_is_detected_with_three_requests() {
    let expired = Arc::new(AtomicBool::new(false));
    let server = Server::start(ghcr(&expired)).await;
    let (client, images, alice) = (client(), fifty(&server), credentials(&[alice()]));
    let check = async || {
        let all = images
            .iter()
            .map(|image| resolve_with(&client, image, &alice));
        let all = join_all(all).await;
        all.iter().filter(|one| one.is_ok()).count()
    };
    assert_eq!(check().await, 50);
    expired.store(true, SeqCst);
    pass(300).await; // the tokens are over
    let before = server.count(ReceivedRequest::is_token);
    for _ in 0..6 {
        assert_eq!(check().await, 0);
        pass(45).await;
    }
    // Two repositories, and one that it was good for before.
    assert_eq!(server.count(ReceivedRequest::is_token) - before, 3);
    assert_eq!(client.quarantined(), [(server.host(), 1)].into());
}

#[tokio::test]
async fn repositories_that_ghcr_denies_do_not_affect_the_others() {
    let server = Server::start(ghcr(&Arc::default())).await;
    let (client, alice) = (client(), credentials(&[alice()]));
    let image = |name: &str| server.image(&format!("{name}:1"));
    let mut found = Vec::new();
    for _ in 0..40 {
        // Many are forbidden, and asked for in a row.
        for name in ["web", "secret1", "secret2", "secret3", "secret4", "secret5"] {
            let resolved = resolve_with(&client, &image(name), &alice).await;
            assert_eq!(resolved.is_ok(), name == "web", "{name}");
        }
        found.push(client.quarantined().is_empty());
        pass(45).await;
    }
    assert_eq!(found, [true; 40]);
}

/// Serves the tag and one digest to authenticated requests, but not the digest `denied`.
fn policy_registry(request: &ReceivedRequest) -> Answer {
    let denied = digest_of(b"denied").to_string();
    if request.target.ends_with(&denied) {
        let body = r#"{"errors":[{"status":403,"message":"blocked by policy"}]}"#;
        return status(403).with(MARKER, "1").body(body);
    }
    index("{}")
}

async fn read(
    client: &RegistryClient,
    server: &Server,
    body: &str,
    credentials: &CredentialChain,
) -> Result<Manifest, Error> {
    let digest = digest_of(body.as_bytes());
    client
        .manifest(&server.image("web:1"), &digest, credentials)
        .await
}

#[tokio::test]
async fn a_manifest_that_is_denied_alone_affects_nothing_else() {
    let registries: [Registry; 3] = [with_basic, with_tokens, open];
    for registry in registries {
        let server = Server::start(move |request| registry(request, policy_registry)).await;
        let client = client();
        let who = credentials(&[alice()]);
        let image = server.image("web:1");
        for _ in 0..10 {
            resolve_with(&client, &image, &who).await.expect("the tag");
            read(&client, &server, "{}", &who).await.expect("the new");
            for _ in 0..2 {
                let error = read(&client, &server, "denied", &who).await;
                let error = error.expect_err("denied");
                assert_eq!(error.kind(), ErrorKind::Denied);
                assert!(error.is_manifest_denied(), "{error}");
                assert_eq!(error.message(), Some("blocked by policy"));
            }
            assert!(client.quarantined().is_empty());
            pass(45).await;
        }
        let denied = digest_of(b"denied").to_string();
        let gets = server.count(|request| request.target.ends_with(&denied));
        assert!(
            gets <= 2 * 5,
            "{gets} in seven minutes: {:?}",
            server.lines()
        );
    }
}

#[tokio::test]
async fn a_401_to_a_digest_of_an_accessible_repository_concerns_the_manifest() {
    let registries: [Registry; 2] = [with_basic, with_tokens];
    for registry in registries {
        let server = Server::start(move |request| {
            if request.method == Method::GET && request.target.contains("sha256:") {
                return status(401).with("www-authenticate", "Basic");
            }
            registry(request, |_| index("{}"))
        })
        .await;
        let client = client();
        let who = credentials(&[alice()]);
        let image = server.image("web:1");
        resolve_with(&client, &image, &who).await.expect("the tag");
        let error = read(&client, &server, "old", &who).await;
        let error = error.expect_err("denied");
        assert!(error.is_manifest_denied(), "{error}");
        assert!(client.quarantined().is_empty());
        resolve_with(&client, &image, &who).await.expect("the tag");
    }
}

#[tokio::test]
async fn a_403_to_a_digest_without_prior_access_quarantines_the_repository() {
    let server = Server::start(|request| with_basic(request, |_| status(403))).await;
    let client = client();
    let who = credentials(&[alice(), Credential::password("carol", "x")]);
    let error = read(&client, &server, "old", &who).await;
    let error = error.expect_err("denied");
    assert!(!error.is_manifest_denied(), "{error}");
    let error = read(&client, &server, "old", &who).await;
    assert_eq!(
        error.expect_err("denied").kind(),
        ErrorKind::CredentialQuarantined
    );
}
