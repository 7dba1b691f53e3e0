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
fn what_is_no_pull_secret_says_why() {
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

/// What the API server says to every question, until it hangs, and how often it was asked.
struct Server {
    says: Mutex<Option<(StatusCode, Value)>>,
    asked: AtomicUsize,
}

impl Server {
    /// With one login.
    fn new(password: &str) -> Arc<Self> {
        let server = Self {
            says: Mutex::default(),
            asked: AtomicUsize::new(0),
        };
        server.has(password);
        Arc::new(server)
    }

    fn has(&self, password: &str) {
        let config = json!({ "auths": { "a.io": { "username": "a", "password": password } } });
        let type_ = "kubernetes.io/dockerconfigjson";
        let secret = secret(type_, ".dockerconfigjson", &config.to_string());
        let secret = serde_json::to_value(&secret).expect("JSON");
        *self.says.lock() = Some((StatusCode::OK, secret));
    }

    fn refuses(&self, code: StatusCode, reason: &str) {
        let status = json!({ "kind": "Status", "code": code.as_u16(), "reason": reason });
        *self.says.lock() = Some((code, status));
    }

    fn hangs(&self) {
        *self.says.lock() = None;
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }

    fn secrets(self: &Arc<Self>) -> Secrets {
        let server = Arc::clone(self);
        let service = service_fn(move |_: Request<Body>| {
            server.asked.fetch_add(1, Ordering::Relaxed);
            let says = server.says.lock().clone();
            async move {
                let Some((status, answer)) = says else {
                    return future::pending().await;
                };
                let body = Body::from(answer.to_string().into_bytes());
                let response = Response::builder().status(status);
                response.body(body).map_err(BoxError::from)
            }
        });
        let fetches = Fetches::new(Arc::default(), CancellationToken::new());
        let service = guarded(service, Recovery::new()).expect("sound constants");
        Secrets::new(Client::new(service, "own"), &fetches)
    }
}

/// What the Secrets hold together, which are read first where that has to be.
async fn keyring(secrets: &Secrets, namespace: &str, names: &[String]) -> Keyring {
    until_ready(|waiter| secrets.lookup(namespace, names, waiter)).await
}

fn login() -> [String; 1] {
    ["login".to_owned()]
}

#[tokio::test(start_paused = true)]
async fn what_was_read_lasts_through_an_outage_of_the_api_server_and_no_longer() {
    let server = Server::new("p");
    let secrets = server.secrets();
    let read_again = async || {
        advance(LIFETIME).await;
        keyring(&secrets, "own", &login()).await
    };
    let read = read_again().await;
    assert!(read.only().is_some());
    server.refuses(StatusCode::INTERNAL_SERVER_ERROR, "InternalError");
    assert_eq!(read_again().await, read, "it may be what it was");
    server.hangs();
    assert_eq!(read_again().await, read, "it may be what it was");
    server.refuses(StatusCode::NOT_FOUND, "NotFound");
    assert_eq!(read_again().await, Keyring::default(), "it is gone");
    server.refuses(StatusCode::INTERNAL_SERVER_ERROR, "InternalError");
    assert_eq!(read_again().await, Keyring::default());
}

#[tokio::test(start_paused = true)]
async fn what_was_read_lasts_while_an_api_server_that_starts_forbids_everything() {
    for lasts in [true, false] {
        let server = Server::new("p");
        let secrets = server.secrets();
        let read = keyring(&secrets, "own", &login()).await;
        advance(LIFETIME).await;
        if lasts {
            server.refuses(StatusCode::INTERNAL_SERVER_ERROR, "InternalError");
            keyring(&secrets, "own", &login()).await;
            advance(LIFETIME).await;
        }
        server.refuses(StatusCode::FORBIDDEN, "Forbidden");
        let again = keyring(&secrets, "own", &login()).await;
        assert_eq!(again == read, lasts);
    }
}

#[tokio::test(start_paused = true)]
async fn a_secret_that_no_registry_refuses_is_read_once_in_ten_minutes() {
    let server = Server::new("p");
    let secrets = server.secrets();
    for _ in 0..600 {
        keyring(&secrets, "own", &login()).await;
        advance(SECOND).await;
    }
    assert_eq!(server.asked(), 1);
    keyring(&secrets, "own", &login()).await;
    assert_eq!(server.asked(), 2);
}

/// A hundred images of one login, checked every second.
#[tokio::test(start_paused = true)]
async fn a_secret_that_is_refused_is_read_again_at_once_and_then_ever_more_seldom() {
    let server = Server::new("wrong");
    let secrets = server.secrets();
    let mut reads = Vec::new();
    for second in 0..1200 {
        for _ in 0..100 {
            let before = server.asked();
            keyring(&secrets, "own", &login()).await;
            secrets.invalidate("own", &login(), clock::now());
            reads.extend((server.asked() > before).then_some(second));
        }
        advance(SECOND).await;
    }
    assert_eq!(
        reads[..2],
        [0, 0],
        "as it may have changed since it was read"
    );
    assert!(reads[2] <= 15 && reads.len() < 10, "{reads:?}");
    let latest = reads.last().expect("some");
    assert!(1200 - latest <= 600, "{reads:?}");

    server.has("right");
    advance(LIFETIME).await;
    keyring(&secrets, "own", &login()).await;
    let before = server.asked();
    secrets.invalidate("own", &login(), clock::now());
    keyring(&secrets, "own", &login()).await;
    assert_eq!(server.asked(), before + 1, "the next refusal is another's");
}

#[tokio::test(start_paused = true)]
async fn a_refusal_that_is_reported_late_does_not_hide_one_that_came_after_it() {
    let server = Server::new("p");
    let secrets = server.secrets();
    keyring(&secrets, "own", &login()).await;
    let now = clock::now();
    let earlier = now - SignedDuration::from_secs(3600);
    secrets.invalidate("own", &login(), now);
    secrets.invalidate("own", &login(), earlier);
    keyring(&secrets, "own", &login()).await;
    assert_eq!(server.asked(), 2);
}

#[tokio::test(start_paused = true)]
async fn those_who_wait_for_a_secret_share_a_failure_and_do_not_wait_for_each_other() {
    let server = Server::new("p");
    server.hangs();
    let secrets = server.secrets();
    let begun = Instant::now();
    let many = (0..50).map(|_| async {
        let keyring = keyring(&secrets, "own", &login()).await;
        assert_eq!(keyring, Keyring::default());
    });
    future::join_all(many).await;
    assert_eq!(begun.elapsed(), GET_TIMEOUT);
    assert_eq!(server.asked(), 1);
    server.has("p");
    advance(FAILED).await;
    let keyring = keyring(&secrets, "own", &login()).await;
    assert!(keyring.only().is_some(), "it is tried again soon");
}

#[tokio::test(start_paused = true)]
async fn a_secret_that_nobody_uses_any_more_is_dropped() {
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
