//! Pull Secrets of a scripted API server, on a paused clock.

use std::sync::atomic::{AtomicUsize, Ordering};

use futures::future;
use http::{Request, Response, StatusCode};
use jiff::SignedDuration;
use k8s_openapi::{ByteString, api::core::v1::Secret};
use kube::client::Body;
use serde_json::{Value, json};
use tokio::time::{Instant, advance};
use tokio_util::sync::CancellationToken;
use tower::{BoxError, service_fn};

use super::{
    super::pull_secret::{GET_TIMEOUT, parse},
    *,
};
use crate::{
    client::{Recovery, guarded},
    lookup::until_ready,
};

const SECOND: Duration = Duration::from_secs(1);

fn secret(type_: &str, key: &str, value: &str) -> Secret {
    Secret {
        type_: Some(type_.to_owned()),
        data: Some([(key.to_owned(), ByteString(value.into()))].into()),
        ..Secret::default()
    }
}

#[test]
fn both_types_of_pull_secrets_are_read() {
    let entry = r#"{"a.io": {"username": "a", "password": "p"}}"#;
    let old = parse(&secret("kubernetes.io/dockercfg", ".dockercfg", entry)).expect("a Secret");
    let new = format!(r#"{{"auths": {entry}}}"#);
    let new = parse(&secret(
        "kubernetes.io/dockerconfigjson",
        ".dockerconfigjson",
        &new,
    ))
    .expect("a Secret");
    assert_eq!(old, new);
    assert!(new.only().is_some());
}

#[test]
fn other_secrets_are_errors_with_a_reason() {
    let cases = [
        (
            secret("Opaque", ".dockerconfigjson", "{}"),
            "its type is Opaque",
        ),
        (
            secret("kubernetes.io/dockercfg", ".dockerconfigjson", "{}"),
            "it has no key .dockercfg",
        ),
        (
            secret("kubernetes.io/dockercfg", ".dockercfg", ""),
            "it has no key .dockercfg",
        ),
        (
            secret("kubernetes.io/dockercfg", ".dockercfg", "{"),
            "malformed",
        ),
    ];
    for (secret, expected) in cases {
        let error = parse(&secret).expect_err(expected).to_string();
        assert!(error.contains(expected), "{error}");
    }
}

/// An API server with one response to all requests, which are counted; without a response it hangs.
struct Server {
    response: Mutex<Option<(StatusCode, Value)>>,
    requests: AtomicUsize,
}

impl Server {
    /// A server with one pull Secret.
    fn new(password: &str) -> Arc<Self> {
        let server = Self {
            response: Mutex::default(),
            requests: AtomicUsize::new(0),
        };
        server.has(password);
        Arc::new(server)
    }

    fn has(&self, password: &str) {
        let config = json!({ "auths": { "a.io": { "username": "a", "password": password } } });
        let type_ = "kubernetes.io/dockerconfigjson";
        let secret = secret(type_, ".dockerconfigjson", &config.to_string());
        let secret = serde_json::to_value(&secret).expect("JSON");
        *self.response.lock() = Some((StatusCode::OK, secret));
    }

    fn refuses(&self, code: StatusCode, reason: &str) {
        let status = json!({ "kind": "Status", "code": code.as_u16(), "reason": reason });
        *self.response.lock() = Some((code, status));
    }

    fn hangs(&self) {
        *self.response.lock() = None;
    }

    fn requests(&self) -> usize {
        self.requests.load(Ordering::Relaxed)
    }

    fn secrets(self: &Arc<Self>) -> Secrets {
        let server = Arc::clone(self);
        let service = service_fn(move |_: Request<Body>| {
            server.requests.fetch_add(1, Ordering::Relaxed);
            let response = server.response.lock().clone();
            async move {
                let Some((status, body)) = response else {
                    return future::pending().await;
                };
                let body = Body::from(body.to_string().into_bytes());
                let response = Response::builder().status(status);
                response.body(body).map_err(BoxError::from)
            }
        });
        let fetches = Fetches::new(Arc::default(), CancellationToken::new());
        let service = guarded(service, Recovery::new()).expect("sound constants");
        Secrets::new(Client::new(service, "own"), &fetches)
    }
}

/// The credentials of all these Secrets, once they are fetched.
async fn keyring(secrets: &Secrets, namespace: &str, names: &[String]) -> Keyring {
    until_ready(|waiter| secrets.lookup(namespace, names, waiter)).await
}

fn login() -> [String; 1] {
    ["login".to_owned()]
}

#[tokio::test(start_paused = true)]
async fn a_cached_secret_outlasts_an_outage_of_the_api_server_but_not_its_deletion() {
    let server = Server::new("p");
    let secrets = server.secrets();
    let fetch_again = async || {
        advance(LIFETIME).await;
        keyring(&secrets, "own", &login()).await
    };
    let read = fetch_again().await;
    assert!(read.only().is_some());
    server.refuses(StatusCode::INTERNAL_SERVER_ERROR, "InternalError");
    assert_eq!(fetch_again().await, read, "it may be unchanged");
    server.hangs();
    assert_eq!(fetch_again().await, read, "it may be unchanged");
    server.refuses(StatusCode::NOT_FOUND, "NotFound");
    assert_eq!(fetch_again().await, Keyring::default(), "it was deleted");
    server.refuses(StatusCode::INTERNAL_SERVER_ERROR, "InternalError");
    assert_eq!(fetch_again().await, Keyring::default());
}

#[tokio::test(start_paused = true)]
async fn a_cached_secret_outlasts_a_starting_api_server_that_forbids_everything() {
    for lasts in [true, false] {
        let server = Server::new("p");
        let secrets = server.secrets();
        let read = keyring(&secrets, "own", &login()).await;
        advance(LIFETIME).await;
        if lasts {
            server.refuses(StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailable");
            keyring(&secrets, "own", &login()).await;
            advance(LIFETIME).await;
        }
        server.refuses(StatusCode::FORBIDDEN, "Forbidden");
        let again = keyring(&secrets, "own", &login()).await;
        assert_eq!(again == read, lasts);
    }
}

#[tokio::test(start_paused = true)]
async fn a_secret_that_no_registry_refuses_is_fetched_every_ten_minutes() {
    let server = Server::new("p");
    let secrets = server.secrets();
    for _ in 0..600 {
        keyring(&secrets, "own", &login()).await;
        advance(SECOND).await;
    }
    assert_eq!(server.requests(), 1);
    keyring(&secrets, "own", &login()).await;
    assert_eq!(server.requests(), 2);
}

/// A hundred images with one Secret, checked every second.
#[tokio::test(start_paused = true)]
async fn a_refused_secret_is_fetched_again_immediately_and_then_with_a_back_off() {
    let server = Server::new("wrong");
    let secrets = server.secrets();
    let mut fetches = Vec::new();
    for second in 0..1200 {
        for _ in 0..100 {
            let before = server.requests();
            keyring(&secrets, "own", &login()).await;
            secrets.invalidate("own", &login(), clock::now());
            fetches.extend((server.requests() > before).then_some(second));
        }
        advance(SECOND).await;
    }
    assert_eq!(
        fetches[..2],
        [0, 0],
        "it may have changed since it was fetched"
    );
    assert!(fetches[2] <= 15 && fetches.len() < 10, "{fetches:?}");
    let latest = fetches.last().expect("some");
    assert!(1200 - latest <= 600, "{fetches:?}");

    server.has("right");
    advance(LIFETIME).await;
    keyring(&secrets, "own", &login()).await;
    let before = server.requests();
    secrets.invalidate("own", &login(), clock::now());
    keyring(&secrets, "own", &login()).await;
    assert_eq!(
        server.requests(),
        before + 1,
        "it has changed since the last refusal"
    );
}

#[tokio::test(start_paused = true)]
async fn a_refusal_that_is_reported_late_does_not_hide_a_later_one() {
    let server = Server::new("p");
    let secrets = server.secrets();
    keyring(&secrets, "own", &login()).await;
    let now = clock::now();
    let earlier = now - SignedDuration::from_secs(3600);
    secrets.invalidate("own", &login(), now);
    secrets.invalidate("own", &login(), earlier);
    keyring(&secrets, "own", &login()).await;
    assert_eq!(server.requests(), 2);
}

#[tokio::test(start_paused = true)]
async fn the_waiters_of_a_secret_share_one_failure_and_wait_concurrently() {
    let server = Server::new("p");
    server.hangs();
    let secrets = server.secrets();
    let started = Instant::now();
    let many = (0..50).map(|_| async {
        let keyring = keyring(&secrets, "own", &login()).await;
        assert_eq!(keyring, Keyring::default());
    });
    future::join_all(many).await;
    assert_eq!(started.elapsed(), GET_TIMEOUT);
    assert_eq!(server.requests(), 1);
    server.has("p");
    advance(FAILED).await;
    let keyring = keyring(&secrets, "own", &login()).await;
    assert!(keyring.only().is_some(), "it is retried soon");
}

#[tokio::test(start_paused = true)]
async fn an_unused_secret_is_evicted() {
    let server = Server::new("p");
    let secrets = server.secrets();
    let other = ["other".to_owned()];
    for _ in 0..=UNUSED.as_secs() {
        secrets.tidy();
        keyring(&secrets, "own", &other).await;
        advance(SECOND).await;
        if secrets.cache.len() == 1 {
            keyring(&secrets, "own", &login()).await;
        }
    }
    let cached = |name: &str| secrets.cache.contains(&("own".to_owned(), name.to_owned()));
    assert!(cached("login") && cached("other"));
    advance(SECOND).await;
    secrets.tidy();
    assert!(!cached("login") && cached("other"));
}
