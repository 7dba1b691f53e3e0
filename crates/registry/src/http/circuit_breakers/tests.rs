use super::*;
use crate::error::ErrorKind;

const WEB: &str = "https://a.example/v2/web/manifests/1";
const DB: &str = "https://a.example/v2/db/manifests/1";
const TIMEOUT: Repr = Repr::Timeout {
    after: Duration::from_secs(30),
};

fn pass<'a>(breakers: &'a CircuitBreakers, uri: &'static str) -> Pass<'a> {
    let admitted = breakers.admit(&Uri::from_static(uri));
    admitted.unwrap_or_else(|repr| panic!("{repr}"))
}

fn refused(breakers: &CircuitBreakers, uri: &'static str) -> Option<ErrorKind> {
    let admitted = breakers.admit(&Uri::from_static(uri));
    admitted.err().map(|repr| repr.kind())
}

async fn pass_time(seconds: u64) {
    tokio::time::advance(Duration::from_secs(seconds)).await;
}

#[tokio::test(start_paused = true)]
async fn a_timeout_of_a_silent_host_opens_its_breaker_at_once() {
    let breakers = CircuitBreakers::new();
    let [web, late] = [pass(&breakers, WEB), pass(&breakers, DB)];
    pass_time(30).await;
    let change = web.failed(&TIMEOUT, true);
    assert_eq!(change, Some(Change::Opened(Duration::from_secs(2))));
    assert_eq!(late.failed(&TIMEOUT, true), None, "for the same reason");
    assert_eq!(refused(&breakers, DB), Some(ErrorKind::Timeout));
    pass_time(2).await;
    let probe = pass(&breakers, DB);
    assert_eq!(refused(&breakers, WEB), Some(ErrorKind::Timeout));
    assert_eq!(probe.responded(StatusCode::OK), Some(Change::Closed));
}

#[tokio::test(start_paused = true)]
async fn a_slow_path_of_a_responsive_host_has_its_own_breaker() {
    let breakers = CircuitBreakers::new();
    let slow = pass(&breakers, WEB);
    pass_time(1).await;
    assert_eq!(pass(&breakers, DB).responded(StatusCode::OK), None);
    pass_time(29).await;
    assert_eq!(slow.failed(&TIMEOUT, true), None);
    assert_eq!(refused(&breakers, WEB), Some(ErrorKind::Timeout));
    assert_eq!(refused(&breakers, DB), None);
    assert_eq!(
        breakers.remaining(&Uri::from_static(WEB)),
        Duration::from_secs(2)
    );
    assert_eq!(breakers.remaining(&Uri::from_static(DB)), Duration::ZERO);
    pass_time(2).await;
    pass(&breakers, WEB).responded(StatusCode::NOT_FOUND);
    assert_eq!(refused(&breakers, WEB), None);
}

#[tokio::test(start_paused = true)]
async fn short_timeouts_and_dropped_requests_are_ignored() {
    let breakers = CircuitBreakers::new();
    assert_eq!(pass(&breakers, WEB).failed(&TIMEOUT, false), None);
    drop(pass(&breakers, WEB));
    assert_eq!(refused(&breakers, WEB), None);
    pass(&breakers, WEB).failed(&TIMEOUT, true);
    pass_time(2).await;
    drop(pass(&breakers, WEB));
    assert_eq!(refused(&breakers, WEB), None, "the next probe");
}

#[tokio::test(start_paused = true)]
async fn a_path_is_probed_again_after_a_failure_of_the_host() {
    let reset = || Repr::Transport(std::sync::Arc::new(std::fmt::Error));
    let no_connection = || Repr::ConnectTimeout {
        after: Duration::from_secs(10),
    };
    for repr in [reset(), no_connection()] {
        let breakers = CircuitBreakers::new();
        let slow = pass(&breakers, WEB);
        pass(&breakers, DB).responded(StatusCode::OK);
        pass_time(30).await;
        slow.failed(&TIMEOUT, true);
        pass_time(2).await;
        pass(&breakers, WEB).failed(&repr, true);
        pass_time(60).await;
        assert_eq!(refused(&breakers, WEB), None, "after {repr}");
    }
}

#[tokio::test(start_paused = true)]
async fn failures_of_all_paths_count_for_the_host() {
    let breakers = CircuitBreakers::new();
    for (number, status) in [500, 503, 408, 502].into_iter().enumerate() {
        let status = StatusCode::from_u16(status).expect("a status");
        let uri = if number % 2 == 0 { WEB } else { DB };
        assert_eq!(pass(&breakers, uri).responded(status), None);
    }
    let gone = pass(&breakers, WEB).responded(StatusCode::NOT_IMPLEMENTED);
    assert_eq!(gone, None, "a response like others");
    for _ in 0..4 {
        assert_eq!(
            pass(&breakers, WEB).responded(StatusCode::BAD_GATEWAY),
            None
        );
    }
    let fifth = pass(&breakers, DB).responded(StatusCode::BAD_GATEWAY);
    assert_eq!(fifth, Some(Change::Opened(Duration::from_secs(2))));
    assert_eq!(refused(&breakers, WEB), Some(ErrorKind::Server));
}

#[tokio::test(start_paused = true)]
async fn the_queue_fails_when_the_breaker_opens() {
    let breakers = CircuitBreakers::new();
    let probe = async {
        tokio::task::yield_now().await;
        pass(&breakers, WEB).failed(&TIMEOUT, true);
    };
    let (waited, ()) = tokio::join!(breakers.queue(std::future::pending::<()>()), probe);
    let kind = waited.map_err(|repr| repr.kind());
    assert_eq!(kind, Err(ErrorKind::Timeout));
    let kind = breakers.queue(async {}).await.map_err(|repr| repr.kind());
    assert_eq!(kind, Err(ErrorKind::Timeout), "and those who come later");
    pass_time(2).await;
    assert!(breakers.queue(async {}).await.is_ok());
}
