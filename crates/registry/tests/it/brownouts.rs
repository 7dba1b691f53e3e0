//! Registries that fail or hang: the cost for them and for other requests.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures::future::join_all;
use http::Method;
use kube_autorollout_registry::{
    ClientBuilder, CredentialChain, Error, ErrorKind, Reference, RegistryClient, Resolved,
};
use tokio::sync::Semaphore;

use crate::{
    authentication::challenge,
    limits::limited,
    script::{
        Answer, ReceivedRequest, Server, alice, build, client, credentials, index, manifest, pass,
        resolve, resolve_with, status, token, until,
    },
};

/// The response of a healthy server.
type Well = fn(&ReceivedRequest) -> Answer;

/// The response while it is broken; none: healthy.
type Broken = fn(&ReceivedRequest) -> Option<Answer>;

/// A server that is healthy until it breaks.
struct Breaking {
    server: Server,
    broken: Arc<AtomicBool>,
}

impl Breaking {
    async fn start(
        well: impl Fn(&ReceivedRequest) -> Answer + Send + Sync + 'static,
        broken_answer: Broken,
    ) -> Self {
        let broken = Arc::new(AtomicBool::new(false));
        let is_broken = Arc::clone(&broken);
        let server = Server::start(move |request| {
            let broken = is_broken.load(Ordering::SeqCst);
            let answer = broken.then(|| broken_answer(request)).flatten();
            answer.unwrap_or_else(|| well(request))
        });
        Self {
            server: server.await,
            broken,
        }
    }

    fn set_broken(&self, broken: bool) {
        self.broken.store(broken, Ordering::SeqCst);
    }

    fn images(&self, number: usize) -> Vec<Reference> {
        let images = (0..number).map(|number| self.server.image(&format!("app{number}:1")));
        images.collect()
    }
}

async fn resolve_all(
    client: &RegistryClient,
    images: &[Reference],
    credentials: &CredentialChain,
) -> Vec<Result<Resolved, Error>> {
    let all = images
        .iter()
        .map(|image| resolve_with(client, image, credentials));
    join_all(all).await
}

fn basic(request: &ReceivedRequest) -> Answer {
    match request.authorization() {
        Some(_) => index("{}"),
        None => status(401).with("www-authenticate", "Basic realm=x"),
    }
}

fn bearer(request: &ReceivedRequest) -> Answer {
    match (request.is_token(), request.authorization()) {
        (true, _) => token("t"),
        (false, Some("Bearer t")) => index("{}"),
        _ => challenge(request, ""),
    }
}

#[tokio::test]
async fn two_hundred_callers_send_few_requests_to_a_failing_registry() {
    let unavailable: Broken = |_| Some(status(503));
    let no_tokens: Broken = |request| {
        let fails = request.is_token() || request.authorization().is_none();
        fails.then(|| status(if request.is_token() { 502 } else { 503 }))
    };
    // Eight are in flight where nothing is to be found out first, and four take their places until the fifth has failed.
    let cases: [(&str, Well, Broken, u64, usize); 3] = [
        ("Basic", basic, unavailable, 11, 8),
        ("tokens at hand", bearer, unavailable, 11, 12),
        ("tokens that have expired", bearer, no_tokens, 301, 8),
    ];
    for (name, well, fails, seconds, most) in cases {
        let registry = Breaking::start(well, fails).await;
        let (client, alice) = (client(), credentials(&[alice()]));
        let images = registry.images(200);
        let all = resolve_all(&client, &images, &alice).await;
        assert!(all.iter().all(Result::is_ok), "{name}");
        // The credential is not trusted any more, and is presented by one caller at a time.
        pass(seconds).await;
        registry.set_broken(true);
        let before = registry.server.log().len();
        let mut known = 0;
        for one in resolve_all(&client, &images, &alice).await {
            let error = one.expect_err(name);
            let expected = [ErrorKind::Server, ErrorKind::TokenServer];
            assert!(expected.contains(&error.kind()), "{name}: {error}");
            assert!(error.is_transient(), "{name}: {error}");
            known += usize::from(error.retry_after().is_some());
        }
        let requests = registry.server.log().len() - before;
        assert!(requests <= most, "{name}: {requests}");
        assert!(
            known >= 200 - most,
            "{name}: {known} know when to come back"
        );
    }
}

#[tokio::test]
async fn a_single_probe_finds_out_that_a_registry_has_recovered() {
    let registry = Breaking::start(|_| index("{}"), |_| Some(status(503))).await;
    let (client, anonymous) = (client(), CredentialChain::anonymous());
    let images = registry.images(20);
    registry.set_broken(true);
    resolve_all(&client, &images, &anonymous).await;
    let before = registry.server.log().len();
    pass(2).await;
    let all = resolve_all(&client, &images, &anonymous).await;
    assert_eq!(registry.server.log().len() - before, 1, "it is still down");
    let waits = all.into_iter().filter_map(|one| one.err()?.retry_after());
    let longest = waits.max().expect("a wait");
    assert!(longest <= Duration::from_secs(4), "{longest:?}");
    registry.set_broken(false);
    pass(4).await;
    resolve(&client, &images[0]).await.expect("it is back");
    let all = resolve_all(&client, &images, &anonymous).await;
    assert!(all.iter().all(Result::is_ok));
}

/// For few requests at once, without patience: two of them time out before the call does. One that is cut short by the
/// end of its call does not open the circuit breaker of its path.
fn hasty(limit: usize) -> ClientBuilder {
    limited(limit)
        .request_timeout(Duration::from_secs(2))
        .total_timeout(Duration::from_secs(4))
}

#[tokio::test]
async fn a_hanging_path_does_not_block_other_paths() {
    let go = Arc::new(Semaphore::new(0));
    let hold = Arc::clone(&go);
    let server = Server::start(move |request| {
        if request.target.contains("/slow/") {
            status(200).never()
        } else {
            index("{}").hold(&hold)
        }
    })
    .await;
    let client = build(hasty(2));
    go.add_permits(1);
    resolve(&client, &server.image("first:1"))
        .await
        .expect("it is known");

    let slow = server.image("slow/app:1");
    let healthy: Vec<_> = (0..60)
        .map(|number| server.image(&format!("app{number}:1")))
        .collect();
    let healthy = join_all(healthy.iter().map(|image| resolve(&client, image)));
    let count = || server.count(|request| request.target.contains("/slow/"));
    let hang = async {
        let first = resolve(&client, &slow).await;
        let before = count();
        let again = resolve(&client, &slow).await;
        (first, again, count() - before)
    };
    // One after the other, so that most of them wait when the hanging one is given up.
    let answers = async {
        for number in 0..60 {
            tokio::time::sleep(Duration::from_millis(60)).await;
            go.add_permits(1);
            until(|| server.count(|request| !request.target.contains("/slow/")) > number).await;
        }
    };
    let ((first, again, asked_again), healthy, ()) = tokio::join!(hang, healthy, answers);
    assert_eq!(first.expect_err("it hangs").kind(), ErrorKind::Timeout);
    for one in healthy {
        one.expect("it is not slow");
    }
    let again = again.expect_err("it did hang");
    assert_eq!(again.kind(), ErrorKind::Timeout);
    assert!(again.retry_after() > Some(Duration::ZERO), "{again}");
    assert_eq!(asked_again, 0, "nobody asks for the slow one");
    go.add_permits(1);
    resolve(&client, &server.image("other:1"))
        .await
        .expect("it is not slow");
}

#[tokio::test]
async fn a_credential_probe_at_a_hanging_path_does_not_block_others_for_long() {
    let server = Server::start(|request| {
        if request.target.contains("/slow/") && request.authorization().is_some() {
            status(200).never()
        } else {
            basic(request)
        }
    })
    .await;
    let (client, alice) = (client(), credentials(&[alice()]));
    let (slow, good) = (server.image("slow/app:1"), server.image("good:1"));
    let hang = resolve_with(&client, &slow, &alice);
    let healthy = async {
        let hangs = || server.count(|request| request.authorization().is_some()) == 1;
        until(hangs).await;
        let time_passes = async {
            // All who wait have begun to.
            tokio::task::yield_now().await;
            pass(6).await;
        };
        let (resolved, ()) = tokio::join!(resolve_with(&client, &good, &alice), time_passes);
        resolved.expect("the login is good");
    };
    tokio::select! {
        _ = hang => panic!("it hangs"),
        () = healthy => {}
    }
}

#[tokio::test]
async fn a_caller_releases_its_permit_before_a_retry() {
    let server = Server::start(|request| {
        if request.target.contains("/bad/") {
            status(503)
        } else {
            index("{}")
        }
    })
    .await;
    let client = build(limited(1));
    resolve(&client, &server.image("first:1"))
        .await
        .expect("it is known");
    let (bad, good) = (server.image("bad/app:1"), server.image("good:1"));
    let (bad, good) = tokio::join!(resolve(&client, &bad), resolve(&client, &good));
    assert_eq!(bad.expect_err("it fails").kind(), ErrorKind::Server);
    good.expect("it is well");
    let requests = server.lines();
    let is_bad: Vec<_> = requests.iter().map(|line| line.contains("/bad/")).collect();
    assert_eq!(is_bad, [false, true, false, true, true, true]);
}

#[tokio::test]
async fn callers_that_wait_for_the_same_manifest_share_its_failure() {
    let server = Server::start(|_| status(500)).await;
    let client = client();
    let image = server.image("web:1");
    let all = join_all((0..10).map(|_| manifest(&client, &image, "{}"))).await;
    for one in all {
        assert_eq!(one.expect_err("it fails").kind(), ErrorKind::Server);
    }
    assert_eq!(server.log().len(), 4, "one caller, with its retries");
    assert_eq!(server.count(|request| request.method == Method::GET), 4);
}

#[tokio::test]
async fn callers_that_wait_for_the_same_token_share_its_failure() {
    let go = Arc::new(Semaphore::new(0));
    let hold = Arc::clone(&go);
    let server = Server::start(move |request| {
        if request.is_token() {
            status(404).hold(&hold)
        } else {
            challenge(request, "")
        }
    })
    .await;
    let client = client();
    let images: Vec<_> = (0..10)
        .map(|number| server.image(&format!("web:{number}")))
        .collect();
    let all = join_all(images.iter().map(|image| resolve(&client, image)));
    let answer = async {
        until(|| server.count(ReceivedRequest::is_token) == 1).await;
        // The others have nothing to wait for but the token.
        for _ in 0..1000 {
            tokio::task::yield_now().await;
        }
        go.add_permits(100);
    };
    let (all, ()) = tokio::join!(all, answer);
    for one in all {
        assert_eq!(one.expect_err("no token").kind(), ErrorKind::TokenServer);
    }
    // Who was reported that a remembered realm fails asks the registry once more, and that realm again.
    let requests = server.count(ReceivedRequest::is_token);
    assert!(requests <= 2, "{requests}");
}

#[tokio::test]
async fn a_call_ends_after_twenty_requests() {
    let server = Server::start(|request| {
        let place = |hops: &str| format!("/v2/web/manifests/1?{hops}");
        match request.target.split_once('?') {
            _ if request.is_token() => token("t"),
            // Always another realm, after some redirects.
            Some((_, "xxxx")) => {
                let realm = format!("http://{}/token/{:p}", request.host, request);
                status(401).with("www-authenticate", &format!(r#"Bearer realm="{realm}""#))
            }
            Some((_, hops)) => status(302).with("location", &place(&format!("{hops}x"))),
            None => status(302).with("location", &place("x")),
        }
    })
    .await;
    let five: Vec<_> = (0..5)
        .map(|number| kube_autorollout_registry::Credential::password(format!("user{number}"), "p"))
        .collect();
    let error = resolve_with(&client(), &server.image("web:1"), &credentials(&five))
        .await
        .expect_err("no end");
    assert_eq!(server.log().len(), 20, "{error}");
    assert_eq!(error.kind(), ErrorKind::Server, "{error}");
}
