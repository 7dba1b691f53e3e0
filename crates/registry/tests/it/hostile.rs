//! Hostile servers: the right error, in time, and no leaked credential.

use std::{
    sync::atomic::{AtomicUsize, Ordering::SeqCst},
    time::{Duration, Instant},
};

use http::Method;
use kube_autorollout_registry::{CredentialChain, ErrorKind, RegistryClient};

use crate::script::{
    self, Answer, OCI_INDEX, ReceivedRequest, Server, alice, build, client, credentials, index,
    options, resolve, resolve_with, status, token,
};

/// A client with short timeouts.
fn hasty() -> RegistryClient {
    let options = options()
        .connect_timeout(Duration::from_millis(200))
        .request_timeout(Duration::from_millis(300))
        .total_timeout(Duration::from_millis(900));
    build(options)
}

pub(crate) fn bearer(realm: &str) -> Answer {
    status(401).with("www-authenticate", &format!(r#"Bearer realm="{realm}""#))
}

#[tokio::test]
async fn an_endless_manifest_is_cut_off() {
    let server = Server::start(|request| match request.method {
        Method::HEAD => status(405),
        _ => status(200).with("content-type", OCI_INDEX).endless(),
    })
    .await;
    let error = resolve(&client(), &server.image("web:1"))
        .await
        .expect_err("too large");
    assert_eq!(error.kind(), ErrorKind::ManifestTooLarge);
    let error = script::manifest(&client(), &server.image("web:1"), "{}")
        .await
        .expect_err("too large");
    assert_eq!(error.kind(), ErrorKind::ManifestTooLarge);
}

#[tokio::test]
async fn a_manifest_of_just_four_mebibytes_is_read() {
    let body = " ".repeat(4 * 1024 * 1024);
    let larger = format!("{body} ");
    let server = Server::start({
        let (body, larger) = (body.clone(), larger.clone());
        move |request| {
            if request
                .target
                .ends_with("/web/manifests/".to_owned().as_str())
                || request.target.contains("larger")
            {
                index(&larger)
            } else {
                index(&body)
            }
        }
    })
    .await;
    script::manifest(&client(), &server.image("web:1"), &body)
        .await
        .expect("just fits");
    let error = script::manifest(&client(), &server.image("larger:1"), &larger)
        .await
        .expect_err("a byte too many");
    assert_eq!(error.kind(), ErrorKind::ManifestTooLarge);
}

#[tokio::test]
async fn a_gzip_bomb_is_not_decompressed() {
    let bomb = status(200).with("content-type", OCI_INDEX).gzip_bomb(1);
    for (answer, expected) in [
        (
            bomb.clone().with("content-encoding", "gzip"),
            ErrorKind::UnsupportedMediaType,
        ),
        (bomb, ErrorKind::DigestMismatch),
    ] {
        let server = Server::start(move |_| answer.clone()).await;
        let error = script::manifest(&client(), &server.image("web:1"), "{}")
            .await
            .expect_err("a bomb");
        assert_eq!(error.kind(), expected);
    }
}

#[tokio::test]
async fn an_endless_token_is_cut_off() {
    let server = Server::start(|request| {
        if request.is_token() {
            return status(200).endless();
        }
        bearer(&format!("http://{}/token", request.host))
    })
    .await;
    let error = resolve(&client(), &server.image("web:1"))
        .await
        .expect_err("too large");
    assert_eq!(error.kind(), ErrorKind::TokenServer);
}

#[tokio::test]
async fn a_token_of_just_sixteen_kibibytes_is_used() {
    for (length, is_usable) in [(16 * 1024, true), (16 * 1024 + 1, false)] {
        let server = Server::start(move |request| match request.authorization() {
            _ if request.is_token() => token(&"t".repeat(length)),
            Some(_) => index("{}"),
            None => bearer(&format!("http://{}/token", request.host)),
        })
        .await;
        let resolved = resolve(&client(), &server.image("web:1")).await;
        assert_eq!(resolved.is_ok(), is_usable, "{length}");
        if let Err(error) = resolved {
            assert_eq!(error.kind(), ErrorKind::TokenServer);
            assert!(error.to_string().contains("16384 bytes"), "{error}");
        }
    }
}

#[tokio::test]
async fn a_challenge_of_more_than_four_kibibytes_is_not_answered() {
    for name in ["realm", "service", "scope"] {
        for (length, is_usable) in [(3 * 1024, true), (4 * 1024, false)] {
            let server = Server::start(move |request| {
                let realm = format!("http://{}/token/", request.host);
                let [path, service, scope] = ["realm", "service", "scope"].map(|parameter| {
                    let length = if parameter == name { length } else { 0 };
                    "x".repeat(length)
                });
                let challenge =
                    format!(r#"Bearer realm="{realm}{path}",service="{service}",scope="{scope}""#);
                match request.authorization() {
                    _ if request.is_token() => token("t"),
                    Some(_) => index("{}"),
                    None => status(401).with("www-authenticate", &challenge),
                }
            })
            .await;
            let resolved = resolve(&client(), &server.image("web:1")).await;
            assert_eq!(resolved.is_ok(), is_usable, "{name}: {length}");
            let tokens = server.count(ReceivedRequest::is_token);
            assert_eq!(tokens, usize::from(is_usable), "{name}: {length}");
            if let Err(error) = resolved {
                assert_eq!(error.kind(), ErrorKind::UnsupportedChallenge);
                assert!(error.to_string().len() < 300, "{error}");
            }
        }
    }
}

/// Issues tokens, each with its number, and refuses them all.
async fn refusing() -> Server {
    let issued = AtomicUsize::new(0);
    Server::start(move |request| {
        if request.is_token() {
            return token(&format!("t{}", issued.fetch_add(1, SeqCst)));
        }
        bearer(&format!("http://{}/token", request.host))
    })
    .await
}

#[tokio::test]
async fn a_token_that_was_refused_is_not_kept() {
    let (server, target) = (refusing().await, refusing().await);
    let location = format!("http://{}/v2/web/manifests/1", target.host());
    let redirecting = Server::start(move |_| status(307).with("location", &location)).await;
    let client = client();
    for (image, server) in [
        (server.image("web:1"), &server),
        (redirecting.image("web:1"), &target),
    ] {
        for _check in 0..3 {
            let error = resolve(&client, &image).await.expect_err("refused");
            assert_eq!(error.kind(), ErrorKind::Unauthorized);
        }
        let log = server.log();
        let sent = log.iter().filter_map(ReceivedRequest::authorization);
        let sent: Vec<_> = sent.collect();
        assert_eq!(sent, ["Bearer t0", "Bearer t1", "Bearer t2"], "each once");
    }
}

#[tokio::test]
async fn slow_servers_cost_one_timeout() {
    let never: fn() -> Answer = || status(200).never();
    let stuck: fn() -> Answer = || status(200).with("content-type", OCI_INDEX).stuck();
    for (name, answer) in [("never answers", never), ("never goes on", stuck)] {
        let server = Server::start(move |_| answer()).await;
        let begun = Instant::now();
        let error = script::manifest(&hasty(), &server.image("web:1"), "{}")
            .await
            .expect_err(name);
        assert_eq!(error.kind(), ErrorKind::Timeout, "{name}");
        assert!(
            begun.elapsed() < Duration::from_secs(6),
            "{name}: {:?}",
            begun.elapsed()
        );
    }
    let (address, _server) = script::raw(
        b"HTTP/1.1 200 OK\r\nx: yyyyyyyyyyyyyyyyyyyyyyy",
        Some(Duration::from_millis(40)),
    )
    .await;
    let reference = format!("{address}/web:1").parse().expect("a reference");
    let error = resolve(&hasty(), &reference)
        .await
        .expect_err("slow headers");
    assert_eq!(error.kind(), ErrorKind::Timeout);
}

#[tokio::test]
async fn callers_in_the_queue_of_a_silent_host_fail_with_the_first() {
    let server = Server::start(|_| status(200).never()).await;
    let client = hasty();
    let images: Vec<_> = (0..100)
        .map(|number| server.image(&format!("app{number}:1")))
        .collect();
    let begun = Instant::now();
    let all = futures::future::join_all(images.iter().map(|image| resolve(&client, image))).await;
    for one in all {
        assert_eq!(one.expect_err("silent").kind(), ErrorKind::Timeout);
    }
    assert!(
        begun.elapsed() < Duration::from_secs(8),
        "{:?}",
        begun.elapsed()
    );
}

#[tokio::test(start_paused = true)]
async fn a_silent_host_costs_the_total_timeout_once() {
    let server = Server::start(|_| status(200).never()).await;
    let client = client();
    let images: Vec<_> = (0..20)
        .map(|number| server.image(&format!("app{number}:1")))
        .collect();
    let anonymous = CredentialChain::anonymous();
    let begun = tokio::time::Instant::now();
    let all =
        futures::future::join_all(images.iter().map(|image| client.resolve(image, &anonymous)));
    let mut is_reported = false;
    for one in all.await {
        let error = one.expect_err("silent");
        assert_eq!(error.kind(), ErrorKind::Timeout);
        is_reported |= error.to_string().ends_with("no response within 45 s");
    }
    assert!(is_reported, "how long it took");
    assert!(
        server.most_in_flight() > 1,
        "some did not wait in the queue"
    );
    assert_eq!(begun.elapsed().as_secs(), 45, "the total time-out");
}

#[tokio::test]
async fn callers_in_the_queue_of_an_unreachable_host_fail_with_the_first() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let host = listener.local_addr().expect("an address");
    drop(listener);
    let images: Vec<_> = (0..100)
        .map(|number| {
            format!("{host}/app{number}:1")
                .parse()
                .expect("a reference")
        })
        .collect();
    let client = client();
    let begun = Instant::now();
    let all = futures::future::join_all(images.iter().map(|image| resolve(&client, image))).await;
    for one in all {
        assert_eq!(one.expect_err("unreachable").kind(), ErrorKind::Transport);
    }
    assert!(
        begun.elapsed() < Duration::from_secs(8),
        "{:?}",
        begun.elapsed()
    );
}

#[tokio::test]
async fn a_response_other_than_http_is_a_transport_error() {
    for bytes in [
        &b"SSH-2.0-OpenSSH_9.6\r\n"[..],
        b"HTTP/1.1 200 OK\r\nbroken header\r\n\r\n",
    ] {
        let (address, _server) = script::raw(bytes, None).await;
        let reference = format!("{address}/web:1").parse().expect("a reference");
        let error = resolve(&client(), &reference).await.expect_err("no HTTP");
        assert_eq!(error.kind(), ErrorKind::Transport);
    }
}

#[tokio::test]
async fn an_endless_header_is_cut_off() {
    static HEADER: std::sync::LazyLock<Vec<u8>> = std::sync::LazyLock::new(|| {
        let mut bytes = b"HTTP/1.1 401 Unauthorized\r\nwww-authenticate: ".to_vec();
        bytes.resize(1024 * 1024, b'a');
        bytes
    });
    let (address, _server) = script::raw(&HEADER, None).await;
    let reference = format!("{address}/web:1").parse().expect("a reference");
    let error = resolve(&client(), &reference).await.expect_err("too long");
    assert_eq!(error.kind(), ErrorKind::Transport);
}

#[tokio::test]
async fn a_thousand_challenges_are_one_refusal() {
    let server = Server::start(|_| {
        (0..40).fold(status(401), |answer, _| {
            answer.with("www-authenticate", &["Digest x=y"; 25].join(", "))
        })
    })
    .await;
    let error = resolve(&client(), &server.image("web:1"))
        .await
        .expect_err("unsupported");
    assert_eq!(error.kind(), ErrorKind::UnsupportedChallenge);
    assert!(error.to_string().len() < 300, "{error}");
    let server = Server::start(|_| status(401).with("www-authenticate", &"x".repeat(60_000))).await;
    let error = resolve(&client(), &server.image("web:1")).await;
    let error = error.expect_err("unsupported");
    assert!(error.to_string().len() < 300, "{error}");
}

#[tokio::test]
async fn a_realm_in_a_private_network_gets_no_request() {
    for realm in [
        "http://10.0.0.1/token",
        "http://[::1]/token",
        "http://localhost/token",
        "http://169.254.169.254/",
    ] {
        let server = Server::start(move |_| bearer(realm)).await;
        let error = resolve_with(&client(), &server.image("web:1"), &credentials(&[alice()])).await;
        let error = error.expect_err(realm);
        assert_eq!(error.kind(), ErrorKind::RedirectRefused, "{realm}");
        assert_eq!(server.log().len(), 1, "{realm}");
    }
}
