//! Artifactory: its URLs, its tokens, and the fallback for a proxy that does not rewrite `/v2/`.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering::SeqCst},
};

use kube_autorollout_registry::{AuthMethod, Credential, ErrorKind, RegistryClient};
use kube_autorollout_testbed::image::digest_of;

use crate::{
    authentication::ALICE,
    script::{
        self, Answer, ReceivedRequest, Server, alice, build, client, credentials, index,
        index_without_digest, options, pass, resolve, resolve_with, status, token,
    },
};

const MARKER: &str = "x-jfrog-version";

/// A client with the native fallback.
fn with_fallback() -> RegistryClient {
    build(options().artifactory_fallback(true))
}

fn missing() -> Answer {
    status(404).with(MARKER, "Artifactory/7.90.0 79000900")
}

/// Serves native URLs only.
fn native(request: &ReceivedRequest) -> Answer {
    if request.target.starts_with("/artifactory/api/docker/") {
        index("{}").with(MARKER, "7")
    } else {
        missing()
    }
}

/// Serves the native URLs of `docker-local`, with tokens of its own token server.
fn native_with_tokens(request: &ReceivedRequest) -> Answer {
    let base = "/artifactory/api/docker/docker-local/v2/";
    let Some(path) = request.target.strip_prefix(base) else {
        return missing();
    };
    if path.starts_with("token?") {
        let known = matches!(request.authorization(), Some(sent) if sent == ALICE);
        let right = path.ends_with("&scope=repository%3Ateam%2Fsub%2Fweb%3Apull");
        return if known && right {
            token("native")
        } else {
            status(401)
        };
    }
    if request.authorization() == Some("Bearer native") {
        return index("{}");
    }
    let host = &request.host;
    let challenge = format!(r#"Bearer realm="http://{host}{base}token",service="{host}""#);
    status(401).with("www-authenticate", &challenge)
}

#[tokio::test]
async fn a_manifest_at_the_native_url_only_is_found_and_its_url_remembered() {
    let server = Server::start(native).await;
    let client = with_fallback();
    let image = server.image("docker-local/team/sub/web:1");
    let resolved = resolve(&client, &image).await.expect("resolved");
    assert_eq!(resolved.digest, digest_of(b"{}"));
    let there = "/artifactory/api/docker/docker-local/v2/team/sub/web/manifests";
    assert_eq!(
        server.lines(),
        [
            "HEAD /v2/docker-local/team/sub/web/manifests/1".to_owned(),
            format!("HEAD {there}/1"),
        ]
    );
    resolve(&client, &image).await.expect("resolved");
    resolve(&client, &server.image("docker-remote/other:2"))
        .await
        .expect("resolved");
    script::manifest(&client, &image, "{}").await.expect("read");
    assert_eq!(
        server.lines()[2..],
        [
            format!("HEAD {there}/1"),
            "HEAD /artifactory/api/docker/docker-remote/v2/other/manifests/2".to_owned(),
            format!("GET {there}/{}", digest_of(b"{}")),
        ],
        "one request each"
    );
}

#[tokio::test]
async fn a_manifest_by_digest_is_found_at_the_native_url_too() {
    let server = Server::start(native).await;
    script::manifest(&with_fallback(), &server.image("local/web:1"), "{}")
        .await
        .expect("read");
    let digest = digest_of(b"{}");
    assert_eq!(
        server.lines(),
        [
            format!("GET /v2/local/web/manifests/{digest}"),
            format!("GET /artifactory/api/docker/local/v2/web/manifests/{digest}"),
        ]
    );
}

#[tokio::test]
async fn the_native_url_has_its_own_token_server() {
    let server = Server::start(native_with_tokens).await;
    let client = with_fallback();
    let image = server.image("docker-local/team/sub/web:1");
    let alice = credentials(&[alice()]);
    let resolved = resolve_with(&client, &image, &alice)
        .await
        .expect("resolved");
    assert_eq!(resolved.auth_method, AuthMethod::Bearer);
    assert_eq!(
        server.count(|request| request.target.contains("/v2/token?")),
        1,
        "{:?}",
        server.lines()
    );
    let before = server.log().len();
    resolve_with(&client, &image, &alice)
        .await
        .expect("resolved");
    assert_eq!(server.log().len() - before, 1, "one HEAD a check");
}

#[tokio::test]
async fn the_native_url_is_used_after_a_404_of_artifactory_and_if_enabled_only() {
    let cases = [
        ("disabled", client(), missing(), "local/web:1", 1),
        (
            "no Artifactory, so that GET might find what HEAD does not",
            with_fallback(),
            status(404),
            "local/web:1",
            2,
        ),
        ("no repository key", with_fallback(), missing(), "web:1", 1),
        (
            "another status",
            with_fallback(),
            status(400).with(MARKER, "7"),
            "local/web:1",
            1,
        ),
        (
            "by its version",
            with_fallback(),
            missing(),
            "local/web:1",
            2,
        ),
        (
            "by its node",
            with_fallback(),
            status(404).with("x-artifactory-node-id", "a"),
            "local/web:1",
            2,
        ),
    ];
    for (name, client, answer, image, requests) in cases {
        let server = Server::start(move |_| answer.clone()).await;
        resolve(&client, &server.image(image))
            .await
            .expect_err(name);
        assert_eq!(server.log().len(), requests, "{name}");
    }
}

#[tokio::test]
async fn a_missing_tag_costs_one_head_if_the_layout_is_known() {
    for where_they_are in ["/v2/", "/artifactory/"] {
        let server = Server::start(move |request| {
            if request.target.starts_with(where_they_are) && request.target.ends_with("/1") {
                index("{}").with(MARKER, "7")
            } else {
                missing()
            }
        })
        .await;
        let client = with_fallback();
        resolve(&client, &server.image("local/web:1"))
            .await
            .expect(where_they_are);
        let before = server.log().len();
        let error = resolve(&client, &server.image("local/web:2"))
            .await
            .expect_err("no such tag");
        assert_eq!(error.kind(), ErrorKind::NotFound, "{where_they_are}");
        assert_eq!(server.log().len() - before, 1, "{where_they_are}");
    }
}

#[tokio::test]
async fn a_changed_layout_is_noticed_within_an_hour() {
    let rewritten = Arc::new(AtomicBool::new(false));
    let now = Arc::clone(&rewritten);
    let server = Server::start(move |request| {
        let standard = request.target.starts_with("/v2/");
        if standard == now.load(SeqCst) {
            index("{}").with(MARKER, "7")
        } else {
            missing()
        }
    })
    .await;
    let client = with_fallback();
    let image = server.image("local/web:1");
    resolve(&client, &image).await.expect("native");
    rewritten.store(true, SeqCst);
    resolve(&client, &image).await.expect_err("still believed");
    pass(3600).await;
    resolve(&client, &image).await.expect("standard");
}

#[tokio::test]
async fn a_proxy_may_rewrite_the_urls_of_some_repositories_only() {
    let server = Server::start(|request| {
        let native = request.target.starts_with("/artifactory/");
        if native == request.target.contains("/old/") {
            index("{}").with(MARKER, "7")
        } else {
            missing()
        }
    })
    .await;
    let client = with_fallback();
    for _ in 0..2 {
        for image in ["new/web:1", "old/web:1", "new/api:1", "old/api:1"] {
            resolve(&client, &server.image(image)).await.expect(image);
        }
    }
    let before = server.log().len();
    resolve(&client, &server.image("old/web:1"))
        .await
        .expect("known by now");
    assert_eq!(server.log().len() - before, 1);
}

#[tokio::test]
async fn a_native_url_without_usable_head_gets_conditional_gets() {
    let etag = format!("\"{}\"", digest_of(b"{}"));
    let server = Server::start(move |request| {
        if request.target.starts_with("/v2/") {
            missing()
        } else if request.header("if-none-match") == Some(&etag) {
            status(304)
        } else {
            index_without_digest("{}")
        }
    })
    .await;
    let client = with_fallback();
    let image = server.image("local/web:1");
    let first = resolve(&client, &image).await.expect("resolved");
    assert_eq!(resolve(&client, &image).await.expect("resolved"), first);
    let before = server.log().len();
    assert_eq!(resolve(&client, &image).await.expect("resolved"), first);
    assert_eq!(
        server.lines()[before..],
        ["GET /artifactory/api/docker/local/v2/web/manifests/1"],
        "HEAD was of no use twice"
    );
}

#[tokio::test]
async fn repository_paths_and_subdomains_are_plain_references() {
    let server = Server::start(|_| index("{}").with(MARKER, "7")).await;
    let client = with_fallback();
    for image in ["docker-local/team/web:1", "web:1"] {
        resolve(&client, &server.image(image)).await.expect(image);
    }
    assert_eq!(
        server.lines(),
        [
            "HEAD /v2/docker-local/team/web/manifests/1",
            "HEAD /v2/web/manifests/1"
        ]
    );
}

#[tokio::test]
async fn an_artifactory_identity_token_works_as_password_and_as_bearer() {
    let basic = format!("Basic {}", "YWxpY2U6aWRlbnRpdHktdG9rZW4="); // alice:identity-token
    let server = Server::start(move |request| match request.authorization() {
        Some("Bearer identity-token") => index("{}"),
        Some(sent) if sent == basic => index("{}"),
        _ => status(401).with("www-authenticate", r#"Basic realm="Artifactory Realm""#),
    })
    .await;
    for (credential, expected) in [
        (
            Credential::password("alice", "identity-token"),
            AuthMethod::Basic,
        ),
        (Credential::bearer("identity-token"), AuthMethod::Bearer),
    ] {
        let credential = credentials(&[credential]);
        let resolved = resolve_with(&client(), &server.image("local/web:1"), &credential)
            .await
            .expect("resolved");
        assert_eq!(resolved.auth_method, expected);
    }
}

#[tokio::test]
async fn a_refused_password_is_not_presented_at_the_other_url() {
    let server = Server::start(|request| match request.authorization() {
        None => status(401).with("www-authenticate", r#"Basic realm="Artifactory Realm""#),
        Some(_) => status(401).with(MARKER, "7"),
    })
    .await;
    let client = with_fallback();
    for expected in [ErrorKind::Unauthorized, ErrorKind::CredentialQuarantined] {
        let image = server.image("local/web:1");
        let error = resolve_with(&client, &image, &credentials(&[alice()])).await;
        assert_eq!(error.expect_err("refused").kind(), expected);
    }
    assert_eq!(server.count(|request| request.authorization().is_some()), 1);
}
