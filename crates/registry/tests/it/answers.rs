//! Responses to HEAD and GET.

use http::Method;
use kube_autorollout_registry::{AuthMethod, CredentialChain, DigestSource, ErrorKind, RateLimit};
use kube_autorollout_testbed::image::digest_of;

use crate::script::{
    self, DIGEST, OCI_INDEX, Server, client, index, index_without_digest, pass, resolve, status,
};

#[tokio::test]
async fn one_head_reports_digest_type_size_and_limit() {
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
    assert_eq!(resolved.source, DigestSource::Head);
    assert_eq!(resolved.auth_method, AuthMethod::Anonymous);
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
async fn a_request_accepts_all_four_kinds_and_no_compression() {
    let server = Server::start(|_| index("{}")).await;
    resolve(&client(), &server.image("web:1"))
        .await
        .expect("resolved");
    let request = &server.log()[0];
    let accept = "application/vnd.docker.distribution.manifest.v2+json, \
        application/vnd.docker.distribution.manifest.list.v2+json, \
        application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json";
    let accepts: Vec<_> = request.headers.get_all("accept").iter().collect();
    assert_eq!(accepts, [accept], "in one header");
    assert_eq!(request.header("accept-encoding"), None);
    assert_eq!(request.authorization(), None);
    let agent = request.header("user-agent").expect("a user agent");
    assert!(agent.starts_with("kube-autorollout-registry/"), "{agent}");
}

#[tokio::test]
async fn get_is_used_if_head_is_incomplete() {
    let cases = [
        ("no digest", index_without_digest("{}")),
        (
            "a malformed digest",
            index_without_digest("{}").with(DIGEST, "sha256:short"),
        ),
        ("HEAD not allowed", status(405)),
    ];
    for (name, head) in cases {
        let server = Server::start(move |request| match request.method {
            Method::HEAD => head.clone(),
            // What a GET claims is ignored: too many registries get it wrong.
            _ => index_without_digest("{}").with(DIGEST, digest_of(b"a lie").as_ref()),
        })
        .await;
        let resolved = resolve(&client(), &server.image("web:1"))
            .await
            .expect(name);
        assert_eq!(
            (resolved.source, resolved.digest),
            (DigestSource::Get, digest_of(b"{}")),
            "{name}"
        );
        assert_eq!(resolved.size, Some(2), "{name}");
    }
}

#[tokio::test]
async fn a_registry_without_usable_head_gets_conditional_gets() {
    let etag = format!("\"{}\"", digest_of(b"{}"));
    let server = Server::start(move |request| {
        if request.method == Method::HEAD {
            index_without_digest("{}")
        } else if request.header("if-none-match") == Some(&etag) {
            status(304)
        } else {
            index_without_digest("{}")
        }
    })
    .await;
    let client = client();
    let image = server.image("web:1");
    let first = resolve(&client, &image).await.expect("resolved");
    for _ in 0..2 {
        let again = resolve(&client, &image).await.expect("resolved");
        assert_eq!(first, again);
    }
    let (head, get) = ("HEAD /v2/web/manifests/1", "GET /v2/web/manifests/1");
    assert_eq!(server.lines(), [head, get, head, get, get]);
    assert_eq!(server.log()[1].header("if-none-match"), None);
    // One repository says nothing of another.
    let before = server.log().len();
    resolve(&client, &server.image("other:1"))
        .await
        .expect("resolved");
    assert_eq!(server.lines()[before], "HEAD /v2/other/manifests/1");
}

#[tokio::test]
async fn a_single_useless_head_changes_nothing() {
    let odd = std::sync::atomic::AtomicBool::new(true);
    let server = Server::start(move |request| {
        let is_head = request.method == Method::HEAD;
        if is_head && odd.swap(false, std::sync::atomic::Ordering::SeqCst) {
            return status(405);
        }
        index("{}")
    })
    .await;
    let client = client();
    let image = server.image("web:1");
    for expected in [DigestSource::Get, DigestSource::Head, DigestSource::Head] {
        let resolved = resolve(&client, &image).await.expect("resolved");
        assert_eq!(resolved.source, expected);
    }
}

#[tokio::test]
async fn get_is_used_if_head_fails_and_get_succeeds() {
    for code in [400, 403, 404, 501] {
        let server = Server::start(move |request| match request.method {
            Method::HEAD => status(code),
            _ => index_without_digest("{}"),
        })
        .await;
        let client = client();
        let image = server.image("web:1");
        for _ in 0..3 {
            let resolved = resolve(&client, &image).await.expect("resolved");
            assert_eq!(resolved.digest, digest_of(b"{}"), "{code}");
        }
        let heads = server.count(|request| request.method == Method::HEAD);
        assert_eq!(
            (heads, server.log().len()),
            (2, 5),
            "{code}: {:?}",
            server.lines()
        );
    }
}

#[tokio::test]
async fn a_get_that_reports_no_more_than_head_is_not_repeated_within_an_hour() {
    let server = Server::start(|request| match request.target.as_str() {
        "/v2/web/manifests/1" => index("{}"),
        _ => status(404),
    })
    .await;
    let client = client();
    for (image, requests) in [("other:1", 2), ("other:2", 1), ("web:1", 1), ("web:2", 1)] {
        let before = server.log().len();
        let _ = resolve(&client, &server.image(image)).await;
        assert_eq!(server.log().len() - before, requests, "{image}");
    }
    pass(3601).await;
    let before = server.log().len();
    let error = resolve(&client, &server.image("other:1")).await;
    assert_eq!(error.expect_err("missing").kind(), ErrorKind::NotFound);
    assert_eq!(server.log().len() - before, 2);
}

#[tokio::test]
async fn the_media_type_may_be_in_the_manifest() {
    let body = format!(r#"{{"schemaVersion":2,"mediaType":"{OCI_INDEX}","manifests":[]}}"#);
    let digest = digest_of(body.as_bytes());
    let vague = [
        "application/json",
        "application/octet-stream",
        "binary/octet-stream",
        "text/plain; charset=utf-8",
        "",
    ];
    for kind in vague {
        for with_digest in [true, false] {
            let (body, digest) = (body.clone(), digest.to_string());
            let server = Server::start(move |_| {
                let answer = status(200).body(&body);
                let answer = match kind {
                    "" => answer,
                    kind => answer.with("content-type", kind),
                };
                if with_digest {
                    answer.with(DIGEST, &digest)
                } else {
                    answer
                }
            })
            .await;
            let (client, image) = (client(), server.image("web:1"));
            let resolved = resolve(&client, &image).await.expect(kind);
            assert_eq!(resolved.media_type, OCI_INDEX, "{kind}");
            assert_eq!(server.log().len(), 2, "{kind}");
            let other = server.image("other:1");
            let anonymous = CredentialChain::anonymous();
            let read = client.manifest(&other, &resolved.digest, &anonymous).await;
            assert_eq!(read.expect(kind).media_type, OCI_INDEX);
        }
    }
}

#[tokio::test]
async fn a_manifest_fetched_by_tag_is_cached_by_digest() {
    let server = Server::start(|_| index_without_digest("{}")).await;
    let client = client();
    resolve(&client, &server.image("web:1"))
        .await
        .expect("resolved");
    let manifest = script::manifest(&client, &server.image("web:1"), "{}")
        .await
        .expect("read");
    assert_eq!(manifest.body, "{}");
    assert_eq!(server.count(|request| request.method == Method::GET), 1);
}

#[tokio::test]
async fn responses_without_a_manifest_have_specific_kinds() {
    let schema1 = "application/vnd.docker.distribution.manifest.v1+prettyjws";
    let digest = digest_of(b"{}").to_string();
    // Where HEAD leaves open what it is, and where it fails for the first time, GET has the last word.
    let cases = [
        (status(404), ErrorKind::NotFound, 2),
        (status(403), ErrorKind::Denied, 2),
        (status(400), ErrorKind::Server, 2),
        (status(204), ErrorKind::Server, 1),
        (
            status(200)
                .with("content-type", "text/html")
                .with(DIGEST, &digest),
            ErrorKind::UnsupportedMediaType,
            1,
        ),
        (
            status(200).with(DIGEST, &digest),
            ErrorKind::UnsupportedMediaType,
            2,
        ),
        (
            status(200)
                .with("content-type", schema1)
                .with(DIGEST, &digest),
            ErrorKind::Schema1,
            1,
        ),
        (
            index("{}").with("content-encoding", "gzip"),
            ErrorKind::UnsupportedMediaType,
            2,
        ),
        (status(301), ErrorKind::RedirectRefused, 1),
    ];
    for (answer, expected, requests) in cases {
        let server = Server::start(move |_| answer.clone()).await;
        let error = resolve(&client(), &server.image("web:1"))
            .await
            .expect_err("an error");
        assert_eq!(error.kind(), expected, "{error}");
        assert_eq!(error.host(), server.host());
        assert_eq!(server.log().len(), requests, "{expected}");
    }
}

#[tokio::test]
async fn a_digest_in_the_reference_must_match_the_registrys() {
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
async fn a_digest_of_another_algorithm_is_verified_against_the_body() {
    // Of `{}`, whose sha256 the registry names.
    let right = "27c74670adb75075fad058d5ceaf7b20c4e7786c83bae8a32f626f9782af34c9\
        a33c2046ef60fd2a7878d378e29fec851806bbd9a67878f3a9f1cda4830763fd";
    let server = Server::start(|_| index("{}")).await;
    let pinned = |hash: &str| server.image(&format!("web:1@sha512:{hash}"));
    let resolved = resolve(&client(), &pinned(right)).await.expect("resolved");
    assert_eq!(resolved.digest.to_string(), format!("sha512:{right}"));
    let error = resolve(&client(), &pinned(&"0".repeat(128))).await;
    let error = error.expect_err("another");
    assert_eq!(error.kind(), ErrorKind::DigestMismatch);
}

#[tokio::test]
async fn an_invalid_reference_causes_no_request() {
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
async fn transient_failures_are_retried_within_bounds() {
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
async fn a_refused_connection_is_a_transport_error_with_its_source() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let host = listener.local_addr().expect("an address");
    drop(listener);
    let reference = format!("{host}/web:1").parse().expect("a reference");
    let client = client();
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
