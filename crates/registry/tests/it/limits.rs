//! Rate limits, backoff, requests in flight.

use std::{
    num::NonZeroUsize,
    sync::{Arc, Mutex},
    time::Duration,
};

use futures::future::join_all;
use http::Method;
use kube_autorollout_registry::{ClientBuilder, ErrorKind, Observer, Operation, RegistryClient};
use tokio::sync::Semaphore;

use crate::{
    authentication::challenge,
    script::{
        ReceivedRequest, Server, alice, build, client, credentials, host, index, manifest, options,
        pass, resolve, resolve_with, status, tls_options, token, until,
    },
};

/// Records notifications.
#[derive(Default)]
struct Notes(Mutex<Vec<String>>);

impl Notes {
    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().expect("sound"))
    }

    fn push(&self, note: String) {
        self.0.lock().expect("sound").push(note);
    }
}

impl Observer for Notes {
    fn request(&self, _: &str, operation: Operation, result: Result<(), ErrorKind>, _: Duration) {
        let result = result.map_or_else(|kind| kind.to_string(), |()| "ok".to_owned());
        self.push(format!("{} {result}", operation.as_str()));
    }

    fn rate_limit(&self, _: &str, remaining: u64) {
        self.push(format!("{remaining} left"));
    }

    fn backoff(&self, _: &str, wait: Option<Duration>) {
        let note = wait.map(|wait| format!("{} s", wait.as_secs()));
        self.push(note.unwrap_or_else(|| "back".to_owned()));
    }
}

fn recorded() -> (RegistryClient, Arc<Notes>) {
    let notes = Arc::new(Notes::default());
    let observer = Arc::clone(&notes) as Arc<dyn Observer>;
    (build(options().observer(observer)), notes)
}

#[tokio::test]
async fn a_429_backs_off_the_whole_host() {
    let date = "Sun, 06 Nov 1994 08:49:37 GMT";
    let cases = [
        (vec![("retry-after", "120")], 120),
        (vec![("retry-after", "0")], 1),
        (vec![("retry-after", "999999999")], 3600),
        (
            vec![
                ("date", date),
                ("retry-after", "Sun, 06 Nov 1994 08:50:37 GMT"),
            ],
            60,
        ),
        (vec![], 15),
    ];
    for (headers, seconds) in cases {
        let server = Server::start(move |request| {
            if request.target.contains("/limited/") {
                // The server's own date would otherwise come beside the script's.
                headers.iter().fold(status(429), |answer, (name, value)| {
                    answer.with(name, value)
                })
            } else {
                index("{}")
            }
        })
        .await;
        let client = client();
        let error = resolve(&client, &server.image("limited:1"))
            .await
            .expect_err("limited");
        assert_eq!(error.kind(), ErrorKind::RateLimited);
        assert_eq!(error.retry_after(), Some(Duration::from_secs(seconds)));
        let error = resolve(&client, &server.image("web:1"))
            .await
            .expect_err("limited too");
        assert_eq!(error.kind(), ErrorKind::RateLimited);
        assert_eq!(server.log().len(), 1, "no request meanwhile");
        pass(seconds + 1).await;
        resolve(&client, &server.image("web:1"))
            .await
            .expect("it is over");
    }
}

#[tokio::test]
async fn a_pull_limit_backs_off_its_account_only() {
    let text = r#"{"errors":[{"code":"TOOMANYREQUESTS","message":"You have reached your unauthenticated pull rate limit."}]}"#;
    let by_header = status(429).with("ratelimit-remaining", "0;w=21600");
    let by_text = status(429).body(text);
    for (method, limited) in [(Method::HEAD, by_header), (Method::GET, by_text)] {
        let server = Server::start(move |request| match request.authorization() {
            Some(_) => index("{}"),
            // Alice has a repository of her own.
            None if request.target.contains("/hers/") => {
                status(401).with("www-authenticate", "Basic")
            }
            None if request.method == method => limited.clone(),
            None => status(405),
        })
        .await;
        let client = client();
        let waits = async || {
            let error = resolve(&client, &server.image("web:1")).await;
            let error = error.expect_err("limited");
            assert_eq!(error.kind(), ErrorKind::RateLimited);
            error.retry_after().expect("a wait").as_secs()
        };
        assert_eq!(waits().await, 15);
        let before = server.log().len();
        assert!(waits().await <= 15);
        assert_eq!(server.log().len(), before, "no request meanwhile");
        let alice = credentials(&[alice()]);
        resolve_with(&client, &server.image("hers:1"), &alice)
            .await
            .expect("her own account");
        pass(16).await;
        assert_eq!(
            waits().await,
            30,
            "it doubles, whatever others are answered"
        );
    }
}

#[tokio::test]
async fn without_retry_after_the_backoff_doubles() {
    let server = Server::start(|_| status(429)).await;
    let client = client();
    let mut waits = Vec::new();
    for _ in 0..4 {
        let error = resolve(&client, &server.image("web:1"))
            .await
            .expect_err("limited");
        let wait = error.retry_after().expect("a wait");
        waits.push(wait.as_secs());
        pass(wait.as_secs() + 1).await;
    }
    assert_eq!(waits, [15, 30, 60, 120]);
}

#[tokio::test]
async fn the_observer_is_notified_of_requests_limits_and_backoffs() {
    let server = Server::start(|request| match request.target.as_str() {
        "/v2/limited/manifests/1" => status(429).with("retry-after", "60"),
        "/v2/missing/manifests/1" => status(404),
        _ => index("{}").with("ratelimit-remaining", "7"),
    })
    .await;
    let (client, notes) = recorded();
    resolve(&client, &server.image("web:1"))
        .await
        .expect("resolved");
    assert_eq!(notes.take(), ["7 left", "head ok"]);
    resolve(&client, &server.image("missing:1"))
        .await
        .expect_err("missing");
    assert_eq!(notes.take(), ["head NotFound", "get NotFound"]);
    resolve(&client, &server.image("limited:1"))
        .await
        .expect_err("limited");
    assert_eq!(notes.take(), ["60 s", "head RateLimited"]);
    pass(61).await;
    resolve(&client, &server.image("web:1"))
        .await
        .expect("resolved");
    assert_eq!(notes.take(), ["7 left", "back", "head ok"]);
}

#[tokio::test]
async fn a_503_with_a_long_retry_after_is_not_retried() {
    let server = Server::start(|_| status(503).with("retry-after", "600")).await;
    let error = resolve(&client(), &server.image("web:1"))
        .await
        .expect_err("down");
    assert_eq!(error.kind(), ErrorKind::Server);
    assert_eq!(server.log().len(), 1);
}

/// A client with a limit of requests in flight.
pub(crate) fn limited(limit: usize) -> ClientBuilder {
    let limit = NonZeroUsize::new(limit).expect("one at least");
    let all = host("*").plain_http(true);
    RegistryClient::builder().host(all.max_concurrent_requests(limit))
}

#[tokio::test]
async fn requests_in_flight_are_limited() {
    for (limit, expected) in [(None, 8), (Some(2), 2)] {
        let go = Arc::new(Semaphore::new(1));
        let hold = Arc::clone(&go);
        let server = Server::start(move |_| index("{}").hold(&hold)).await;
        let options = limit.map_or_else(options, limited);
        let client = build(options);
        let images: Vec<_> = (0..30)
            .map(|number| server.image(&format!("app{number}:1")))
            .collect();
        let all = join_all(images.iter().map(|image| resolve(&client, image)));
        // The first goes alone; then as many as may be wait together for the go.
        let release = async {
            until(|| server.most_in_flight() >= expected).await;
            go.add_permits(100);
        };
        let (all, ()) = tokio::join!(all, release);
        assert!(all.iter().all(Result::is_ok));
        assert_eq!(server.most_in_flight(), expected);
    }
}

#[tokio::test]
async fn a_manifest_does_not_wait_for_all_queued_tags() {
    let go = Arc::new(Semaphore::new(1));
    let hold = Arc::clone(&go);
    let server = Server::start(move |_| index("{}").hold(&hold)).await;
    let client = build(limited(1));
    let images: Vec<_> = (0..10)
        .map(|number| server.image(&format!("app:{number}")))
        .collect();
    resolve(&client, &images[0]).await.expect("it is there");

    let tags = join_all(images.iter().map(|image| resolve(&client, image)));
    let manifest = manifest(&client, &images[0], "{}");
    // Each has begun to wait, in this order, before there is a go.
    let release = async { go.add_permits(100) };
    let (tags, manifest, ()) = tokio::join!(tags, manifest, release);
    assert!(tags.iter().all(Result::is_ok));
    manifest.expect("it is there");
    let gets: Vec<_> = server
        .log()
        .iter()
        .map(|request| request.method == Method::GET)
        .collect();
    let before = gets.iter().position(|get| *get);
    assert_eq!(before, Some(3), "one was in flight, one was next: {gets:?}");
}

#[tokio::test]
async fn a_hundred_tags_of_a_host_cost_less_than_twenty_round_trips() {
    const TAGS: usize = 100;
    let go = Arc::new(Semaphore::new(0));
    let hold = Arc::clone(&go);
    let server = Server::start_tls(move |request| {
        let answer = match (request.is_token(), request.authorization()) {
            (true, _) => token("t"),
            (false, Some("Bearer t")) => index("{}"),
            _ => {
                let realm = format!("https://{}/token", request.host);
                status(401).with("www-authenticate", &format!(r#"Bearer realm="{realm}""#))
            }
        };
        answer.hold(&hold)
    })
    .await;
    let client = build(tls_options(&server));
    let alice = credentials(&[alice()]);
    let images: Vec<_> = (0..TAGS)
        .map(|number| server.image(&format!("web:{number}")))
        .collect();
    let all = join_all(
        images
            .iter()
            .map(|image| resolve_with(&client, image, &alice)),
    );
    // Whatever is in flight together is answered together, as with a long way in between.
    let answers = async {
        let mut round_trips = 2; // TCP and TLS
        let mut answered = 0;
        // One finds out what is wanted and one gets the token; then as many as may be ask together.
        let waves = [1, 1].into_iter().chain([8; TAGS / 8]).chain([TAGS % 8]);
        for wave in waves {
            answered += wave;
            until(|| server.log().len() >= answered).await;
            go.add_permits(wave);
            round_trips += 1;
        }
        round_trips
    };
    let (all, round_trips) = tokio::join!(all, answers);
    assert!(all.iter().all(Result::is_ok));
    assert_eq!(server.log().len(), 1 + 1 + TAGS);
    assert_eq!((server.connections(), server.most_in_flight()), (1, 8));
    assert!(round_trips < 20, "{round_trips}");
}

#[tokio::test]
async fn a_hundred_first_checks_cause_one_challenge() {
    let server = Server::start(
        |request| match (request.is_token(), request.authorization()) {
            (true, _) => token("t"),
            (false, Some("Bearer t")) => index("{}"),
            _ => challenge(request, ""),
        },
    )
    .await;
    let client = client();
    let images: Vec<_> = (0..100)
        .map(|number| server.image(&format!("app{number}:1")))
        .collect();
    let all = join_all(images.iter().map(|image| resolve(&client, image))).await;
    assert!(all.iter().all(Result::is_ok));
    let unauthorized =
        server.count(|request| !request.is_token() && request.authorization().is_none());
    assert_eq!(unauthorized, 1);
    assert_eq!(
        server.count(ReceivedRequest::is_token),
        100,
        "one for each repository"
    );
}
