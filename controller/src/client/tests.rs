//! Requests to a scripted API server, on a paused clock.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use http::{Method, Request, StatusCode, header};
use kube::Client;
use tokio::time::Instant;
use tower::service_fn;

use super::*;

/// The status that a request to an API server with this response ends with, the number of attempts, and the duration.
async fn sent(
    method: Method,
    status: StatusCode,
    retry_after: Option<&'static str>,
) -> (StatusCode, usize, Duration) {
    let times = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&times);
    let service = service_fn(move |_: Request<Body>| {
        counted.fetch_add(1, Ordering::Relaxed);
        let response = Response::builder().status(status);
        let response = match retry_after {
            Some(retry_after) => response.header(header::RETRY_AFTER, retry_after),
            None => response,
        };
        async move { response.body(Body::empty()).map_err(BoxError::from) }
    });
    let client = Client::new(
        guarded(service, Recovery::new()).expect("sound constants"),
        "own",
    );
    let request = Request::builder().method(method).uri("/");
    let request = request.body(Body::from(b"{}".to_vec())).expect("a request");
    let begun = Instant::now();
    let answer = client.send(request).await.expect("an answer");
    (
        answer.status(),
        times.load(Ordering::Relaxed),
        begun.elapsed(),
    )
}

#[tokio::test(start_paused = true)]
async fn only_requests_that_may_be_sent_twice_are_retried() {
    let cases = [
        (Method::GET, StatusCode::SERVICE_UNAVAILABLE, 4),
        (Method::GET, StatusCode::GATEWAY_TIMEOUT, 4),
        (Method::GET, StatusCode::INTERNAL_SERVER_ERROR, 1),
        (Method::PATCH, StatusCode::SERVICE_UNAVAILABLE, 1),
        (Method::PATCH, StatusCode::GATEWAY_TIMEOUT, 1),
        (Method::PUT, StatusCode::GATEWAY_TIMEOUT, 1),
        (Method::POST, StatusCode::GATEWAY_TIMEOUT, 1),
        // Rejected before its execution
        (Method::GET, StatusCode::TOO_MANY_REQUESTS, 4),
        (Method::PATCH, StatusCode::TOO_MANY_REQUESTS, 4),
        (Method::POST, StatusCode::TOO_MANY_REQUESTS, 4),
    ];
    for (method, status, expected) in cases {
        let (answer, times, took) = sent(method.clone(), status, None).await;
        assert_eq!(answer, status);
        assert_eq!(times, expected, "{method} {status}");
        assert!(took < Duration::from_secs(5), "{method} {status}: {took:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn retry_after_is_honoured_up_to_half_a_minute_in_total() {
    let cases = [
        ("1", 4, 3),
        ("7", 4, 21),
        ("20", 3, 30),
        ("3600", 2, 30),
        ("18446744073709551615", 2, 30),
        ("Fri, 31 Dec 1999 23:59:59 GMT", 4, 0),
    ];
    for (retry_after, expected, seconds) in cases {
        let busy = StatusCode::SERVICE_UNAVAILABLE;
        let (answer, times, took) = sent(Method::GET, busy, Some(retry_after)).await;
        assert_eq!(answer, busy);
        assert_eq!(times, expected, "{retry_after}");
        let longest = Duration::from_secs(seconds + 3);
        assert!(
            took >= Duration::from_secs(seconds) && took < longest,
            "{retry_after}: {took:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_without_a_response_fails_after_its_deadline() {
    let service =
        service_fn(|_: Request<Body>| std::future::pending::<Result<Response<Body>, BoxError>>());
    let client = Client::new(
        guarded(service, Recovery::new()).expect("sound constants"),
        "own",
    );
    for watch in ["", "?watch=true"] {
        let request = Request::get(format!("/apis/apps/v1/deployments{watch}"));
        let request = request.body(Body::empty()).expect("a request");
        let begun = Instant::now();
        let ended = tokio::time::timeout(Duration::from_secs(3600), client.send(request)).await;
        let error = ended.expect("in time").expect_err("no answer");
        assert_eq!(begun.elapsed(), Duration::from_secs(30));
        let text = error.to_string();
        assert!(text.contains("did not respond within 30 s"), "{text}");
    }
}

#[test]
fn the_namespace_of_the_service_account_takes_precedence() {
    let folder = tempfile::tempdir().expect("a folder");
    let mounted = folder.path().join("namespace");
    let mut environment = BTreeMap::new();
    let own = |environment: &_| own_namespace(&mounted, environment, "context");
    assert_eq!(own(&environment), "context");
    environment.insert("POD_NAMESPACE".to_owned(), "pod".to_owned());
    assert_eq!(own(&environment), "pod");
    fs::write(&mounted, "mounted\n").expect("a file");
    assert_eq!(own(&environment), "mounted");
}
