//! Manifests by digest: verified, cached, fetched once.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering::SeqCst},
};

use futures::future::join_all;
use http::Method;
use kube_autorollout_registry::{CredentialChain, DigestSource, ErrorKind};
use kube_autorollout_testbed::image::digest_of;
use tokio::sync::Semaphore;

use crate::script::{
    OCI_INDEX, Server, alice, client, credentials, index, index_without_digest, manifest, pass,
    resolve, status,
};

#[tokio::test]
async fn a_manifest_is_fetched_once_for_concurrent_callers() {
    let go = Arc::new(Semaphore::new(0));
    let hold = Arc::clone(&go);
    let server = Server::start(move |_| index("{}").hold(&hold)).await;
    let client = client();
    let reference = server.image("web:1");
    let all = join_all((0..20).map(|_| manifest(&client, &reference, "{}")));
    let (all, ()) = tokio::join!(all, async { go.add_permits(1) });
    for one in all {
        let one = one.expect("read");
        assert_eq!(
            (one.media_type.as_str(), &one.body[..]),
            (OCI_INDEX, &b"{}"[..])
        );
        assert_eq!(one.digest, digest_of(b"{}"));
    }
    let line = format!("GET /v2/web/manifests/{}", digest_of(b"{}"));
    assert_eq!(server.lines(), [line]);
}

#[tokio::test]
async fn a_dropped_call_leaves_no_state_behind() {
    let go = Arc::new(Semaphore::new(0));
    let hold = Arc::clone(&go);
    let server = Server::start(move |_| index("{}").hold(&hold)).await;
    let client = client();
    let reference = server.image("web:1");
    {
        let mut first = Box::pin(manifest(&client, &reference, "{}"));
        while server.log().is_empty() {
            assert!(futures::poll!(&mut first).is_pending(), "it is held");
            tokio::task::yield_now().await;
        }
    }
    go.add_permits(2);
    manifest(&client, &reference, "{}")
        .await
        .expect("read by the second");
}

#[tokio::test]
async fn a_body_that_does_not_match_its_digest_is_not_cached() {
    let server = Server::start(|_| index("another")).await;
    let client = client();
    for request in 1..=2 {
        let error = manifest(&client, &server.image("web:1"), "{}")
            .await
            .expect_err("a lie");
        assert_eq!(error.kind(), ErrorKind::DigestMismatch);
        assert_eq!(server.log().len(), request);
    }
}

#[tokio::test]
async fn a_digest_in_the_headers_of_head_suffices() {
    // As ECR responds.
    let server = Server::start(|request| match request.method {
        Method::HEAD => index("{}"),
        _ => index_without_digest("{}"),
    })
    .await;
    let client = client();
    let image = server.image("web:1");
    let resolved = resolve(&client, &image).await.expect("resolved");
    assert_eq!(resolved.source, DigestSource::Head);
    let manifest = manifest(&client, &image, "{}").await.expect("read");
    assert_eq!(manifest.digest, resolved.digest);
}

#[tokio::test]
async fn a_missing_manifest_is_not_requested_again_with_the_same_credentials() {
    let server = Server::start(|_| status(404)).await;
    let client = client();
    let reference = server.image("web:1");
    for _ in 0..3 {
        let error = manifest(&client, &reference, "{}")
            .await
            .expect_err("missing");
        assert_eq!(error.kind(), ErrorKind::NotFound);
    }
    assert_eq!(server.log().len(), 1);
    let other = credentials(&[alice()]);
    client
        .manifest(&reference, &digest_of(b"{}"), &other)
        .await
        .expect_err("missing");
    let gets = server.count(|request| request.target.contains("/manifests/"));
    assert_eq!(gets, 2, "somebody else may see more");
}

#[tokio::test]
async fn a_manifest_that_was_missing_for_a_moment_is_found_within_seconds() {
    let is_behind = Arc::new(AtomicBool::new(true));
    let behind = Arc::clone(&is_behind);
    let server = Server::start(move |_| {
        if behind.load(SeqCst) {
            return status(404); // a replica that is behind
        }
        index("{}")
    })
    .await;
    let client = client();
    let reference = server.image("web:1");
    for _ in 0..2 {
        let error = manifest(&client, &reference, "{}").await;
        assert_eq!(error.expect_err("behind").kind(), ErrorKind::NotFound);
    }
    assert_eq!(server.log().len(), 1, "not at once");
    is_behind.store(false, SeqCst);
    pass(5).await;
    manifest(&client, &reference, "{}").await.expect("found");
}

#[tokio::test]
async fn a_deleted_manifest_is_requested_ten_times_in_an_hour_and_then_once() {
    let server = Server::start(|_| status(404)).await;
    let client = client();
    let reference = server.image("web:1");
    let mut requests = Vec::new();
    for _hour in 0..4 {
        for _check in 0..80 {
            let error = manifest(&client, &reference, "{}").await;
            error.expect_err("deleted");
            pass(45).await;
        }
        requests.push(server.log().len());
    }
    assert_eq!(requests, [10, 11, 12, 13]);
}

#[tokio::test]
async fn a_missing_manifest_that_a_tag_names_is_requested_again_within_half_a_minute() {
    let server = Server::start(|request| match request.method {
        Method::HEAD => index("{}"),
        _ => status(404), // a replica that is behind
    })
    .await;
    let client = client();
    let reference = server.image("web:1");
    let gets = || server.count(|request| request.method == Method::GET);
    let mut waits = Vec::new();
    let mut since = 0;
    for second in 0..120_u32 {
        let before = gets();
        resolve(&client, &reference).await.expect("the tag");
        let error = manifest(&client, &reference, "{}").await;
        let error = error.expect_err("behind");
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert!(error.is_transient(), "{error}");
        if gets() > before {
            waits.push(second - since);
            since = second;
        }
        pass(1).await;
    }
    let expected: [u32; 6] = [0, 5, 10, 20, 30, 30];
    // On a busy machine more time passes than is counted here.
    let close = |(wait, expected): (&u32, &u32)| wait.abs_diff(*expected) <= 1;
    let all_close = waits.iter().zip(&expected).all(close);
    assert!(waits.len() == expected.len() && all_close, "{waits:?}");
}

#[tokio::test]
async fn a_missing_manifest_is_requested_once_a_tag_names_it() {
    let pushed = Arc::new(AtomicBool::new(false));
    let now = Arc::clone(&pushed);
    let server = Server::start(move |_| {
        if now.load(SeqCst) {
            return index("{}");
        }
        status(404)
    })
    .await;
    let client = client();
    let reference = server.image("web:1");
    let error = manifest(&client, &reference, "{}").await;
    assert!(!error.expect_err("missing").is_transient());
    pushed.store(true, SeqCst);
    let error = manifest(&client, &reference, "{}").await;
    error.expect_err("nobody knows yet");
    resolve(&client, &reference).await.expect("the tag");
    manifest(&client, &reference, "{}")
        .await
        .expect("there again");
}

#[tokio::test]
async fn other_failures_are_not_cached() {
    let answers = std::sync::Mutex::new(vec![index("{}"), status(400)]);
    let server =
        Server::start(move |_| answers.lock().expect("sound").pop().expect("one more")).await;
    let client = client();
    let reference = server.image("web:1");
    manifest(&client, &reference, "{}")
        .await
        .expect_err("a failure");
    manifest(&client, &reference, "{}").await.expect("read");
}

#[tokio::test]
async fn a_digest_that_cannot_be_verified_is_refused() {
    let server = Server::start(|_| index("{}")).await;
    let digest = "blake3:abcdef".parse().expect("a digest");
    let error = client()
        .manifest(
            &server.image("web:1"),
            &digest,
            &CredentialChain::anonymous(),
        )
        .await
        .expect_err("unverifiable");
    assert_eq!(error.kind(), ErrorKind::InvalidReference);
}
