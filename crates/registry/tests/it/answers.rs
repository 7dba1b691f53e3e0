//! What becomes of the answers to HEAD and GET.

use http::Method;
use kube_autorollout_registry::{Authentication, ErrorKind, RateLimit, Via};
use kube_autorollout_testbed::image::digest_of;

use crate::script::{
    self, DIGEST, OCI_INDEX, Server, client, index, index_without_digest, options, resolve, status,
};

#[tokio::test]
async fn one_head_tells_digest_type_size_and_limit() {
    let server = Server::start(|_| {
        index("{}")
            .with("ratelimit-limit", "100;w=21600")
            .with("ratelimit-remaining", "20;w=21600")
    })
    .await;
    let resolved = resolve(&client(), &server.image("team/web:1"))
        .await
        .expect("resolved");
    assert_eq!(resolved.digest, digest_of(b"{}"));
    assert_eq!(resolved.media_type, OCI_INDEX);
    assert_eq!(resolved.size, Some(2));
    assert_eq!(resolved.via, Via::Head);
    assert_eq!(resolved.authentication, Authentication::Anonymous);
    assert_eq!(
        resolved
            .rate_limit
            .map(|RateLimit { remaining, .. }| remaining),
        Some(20)
    );
    assert_eq!(
        server.lines(),
        ["HEAD /v2/team/web/manifests/1"],
        "no ping, no GET"
    );
}

#[tokio::test]
async fn the_request_asks_for_all_four_kinds_and_no_compression() {
    let server = Server::start(|_| index("{}")).await;
    resolve(&client(), &server.image("web:1"))
        .await
        .expect("resolved");
    let asked = &server.log()[0];
    let accept = "application/vnd.docker.distribution.manifest.v2+json, \
        application/vnd.docker.distribution.manifest.list.v2+json, \
        application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json";
    let accepts: Vec<_> = asked.headers.get_all("accept").iter().collect();
    assert_eq!(accepts, [accept], "in one header");
    assert_eq!(asked.header("accept-encoding"), None);
    assert_eq!(asked.authorization(), None);
    let agent = asked.header("user-agent").expect("a user agent");
    assert!(agent.starts_with("kube-autorollout-registry/"), "{agent}");
}

#[tokio::test]
async fn get_is_used_where_head_does_not_tell() {
    let cases = [
        ("no digest", index_without_digest("{}")),
        (
            "a malformed digest",
            index_without_digest("{}").with(DIGEST, "sha256:short"),
        ),
        ("HEAD not allowed", status(405)),
    ];
    for (name, head) in cases {
        let server = Server::start(move |asked| match asked.method {
            Method::HEAD => head.clone(),
            // What a GET claims is not asked: too many registries get it wrong.
            _ => index_without_digest("{}").with(DIGEST, digest_of(b"a lie").as_ref()),
        })
        .await;
        let resolved = resolve(&client(), &server.image("web:1"))
            .await
            .expect(name);
        assert_eq!(
            (resolved.via, resolved.digest),
            (Via::Get, digest_of(b"{}")),
            "{name}"
        );
        assert_eq!(resolved.size, Some(2), "{name}");
    }
}

#[tokio::test]
async fn a_registry_without_usable_head_is_asked_by_conditional_get_from_then_on() {
    let etag = format!("\"{}\"", digest_of(b"{}"));
    let server = Server::start(move |asked| {
        if asked.method == Method::HEAD {
            index_without_digest("{}")
        } else if asked.header("if-none-match") == Some(&etag) {
            status(304)
        } else {
            index_without_digest("{}")
        }
    })
    .await;
    let client = client();
    let first = resolve(&client, &server.image("web:1"))
        .await
        .expect("resolved");
    let second = resolve(&client, &server.image("web:1"))
        .await
        .expect("resolved");
    assert_eq!(first, second);
    let get = "GET /v2/web/manifests/1";
    assert_eq!(server.lines(), ["HEAD /v2/web/manifests/1", get, get]);
    assert_eq!(server.log()[1].header("if-none-match"), None);
}

#[tokio::test]
async fn a_manifest_read_by_tag_is_not_read_again_by_digest() {
    let server = Server::start(|_| index_without_digest("{}")).await;
    let client = client();
    resolve(&client, &server.image("web:1"))
        .await
        .expect("resolved");
    let manifest = script::manifest(&client, &server.image("web:1"), "{}")
        .await
        .expect("read");
    assert_eq!(manifest.body, "{}");
    assert_eq!(server.count(|asked| asked.method == Method::GET), 1);
}

#[tokio::test]
async fn answers_that_are_no_manifests_have_kinds_of_their_own() {
    let schema1 = "application/vnd.docker.distribution.manifest.v1+prettyjws";
    let digest = digest_of(b"{}").to_string();
    let cases = [
        (status(404), ErrorKind::TagNotFound),
        (status(403), ErrorKind::Denied),
        (status(400), ErrorKind::Server),
        (status(204), ErrorKind::Server),
        (
            status(200)
                .with("content-type", "text/html")
                .with(DIGEST, &digest),
            ErrorKind::UnsupportedMediaType,
        ),
        (
            status(200).with(DIGEST, &digest),
            ErrorKind::UnsupportedMediaType,
        ),
        (
            status(200)
                .with("content-type", schema1)
                .with(DIGEST, &digest),
            ErrorKind::Schema1,
        ),
        (
            index("{}").with("content-encoding", "gzip"),
            ErrorKind::UnsupportedMediaType,
        ),
        (status(301), ErrorKind::RedirectRefused),
    ];
    for (answer, expected) in cases {
        let server = Server::start(move |_| answer.clone()).await;
        let error = resolve(&client(), &server.image("web:1"))
            .await
            .expect_err("an error");
        assert_eq!(error.kind(), expected, "{error}");
        assert_eq!(error.host(), server.host());
        assert_eq!(server.log().len(), 1, "{expected} is not asked twice");
    }
}

#[tokio::test]
async fn a_digest_in_the_reference_must_be_the_registrys() {
    let server = Server::start(|_| index("{}")).await;
    let pinned = |body: &[u8]| server.image(&format!("web:1@{}", digest_of(body)));
    let resolved = resolve(&client(), &pinned(b"{}")).await.expect("resolved");
    assert_eq!(resolved.digest, digest_of(b"{}"));
    let error = resolve(&client(), &pinned(b"other"))
        .await
        .expect_err("an error");
    assert_eq!(error.kind(), ErrorKind::DigestMismatch);
}

#[tokio::test]
async fn what_cannot_be_asked_is_not_asked() {
    let server = Server::start(|_| index("{}")).await;
    let reference = kube_autorollout_registry::Reference::with_tag(
        server.host(),
        "web/../admin".to_owned(),
        "1".to_owned(),
    );
    let error = resolve(&client(), &reference).await.expect_err("an error");
    assert_eq!(error.kind(), ErrorKind::InvalidReference);
    assert!(server.log().is_empty());
}

#[tokio::test]
async fn failures_that_may_pass_are_retried_within_bounds() {
    for code in [408, 500, 502, 503, 504] {
        let server = Server::start(move |_| status(code)).await;
        let error = resolve(&client(), &server.image("web:1"))
            .await
            .expect_err("an error");
        assert_eq!(error.kind(), ErrorKind::Server, "{code}");
        assert_eq!(server.log().len(), 4, "{code}");
    }
    let answers = std::sync::Mutex::new(vec![index("{}"), status(502), status(503)]);
    let server =
        Server::start(move |_| answers.lock().expect("sound").pop().expect("one more")).await;
    resolve(&client(), &server.image("web:1"))
        .await
        .expect("resolved at last");
}

#[tokio::test]
async fn nobody_at_the_port_is_a_transport_error_with_its_cause() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let host = listener.local_addr().expect("an address");
    drop(listener);
    let reference = format!("{host}/web:1").parse().expect("a reference");
    let client = kube_autorollout_registry::Client::new(options()).expect("good options");
    let error = resolve(&client, &reference).await.expect_err("an error");
    assert_eq!(error.kind(), ErrorKind::Transport);
    let mut text = String::new();
    let mut cause: Option<&dyn std::error::Error> = Some(&error);
    while let Some(error) = cause {
        text.push_str(&error.to_string());
        cause = error.source();
    }
    assert!(text.contains("refused"), "{text}");
}
