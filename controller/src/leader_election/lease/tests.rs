//! Candidates against a scripted API server with one Lease, on a paused clock.

use std::sync::{
    Mutex, MutexGuard, PoisonError,
    atomic::{AtomicUsize, Ordering},
};

use http::{Method, Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use kube::client::Body;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tower::service_fn;

use super::*;
use crate::leader_election::leadership::Leadership;

const SECOND: Duration = Duration::from_secs(1);

/// An API server for Leases that can be made to fail.
#[derive(Default)]
struct Server {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    lease: Option<Value>,
    version: u64,
    forbidden: bool,
    hanging: bool,
    requests: Vec<Method>,
}

impl Server {
    fn client(self: &Arc<Self>) -> Client {
        let server = Arc::clone(self);
        let service = service_fn(move |request: Request<Body>| {
            let server = Arc::clone(&server);
            async move {
                let (parts, body) = request.into_parts();
                let body = body.collect().await.expect("a body").to_bytes();
                if server.lock().hanging {
                    std::future::pending::<()>().await;
                }
                let (status, answer) = server.answer(&parts.method, &body);
                let response = Response::builder().status(status);
                response.body(Body::from(answer.to_string().into_bytes()))
            }
        });
        Client::new(service, "own")
    }

    fn answer(&self, method: &Method, body: &[u8]) -> (StatusCode, Value) {
        let mut state = self.lock();
        state.requests.push(method.clone());
        if state.forbidden {
            return refused(StatusCode::FORBIDDEN, "Forbidden");
        }
        let version = |lease: &Value| lease["metadata"]["resourceVersion"].clone();
        match (method, state.lease.clone()) {
            (&Method::GET, None) => refused(StatusCode::NOT_FOUND, "NotFound"),
            (&Method::GET, Some(lease)) => (StatusCode::OK, lease),
            (&Method::POST, Some(_)) => refused(StatusCode::CONFLICT, "AlreadyExists"),
            (&Method::POST, None) => state.write(body),
            (&Method::PUT, Some(lease)) => {
                let sent: Value = serde_json::from_slice(body).expect("JSON");
                assert!(version(&sent).is_string(), "every write has a precondition");
                if version(&sent) == version(&lease) {
                    state.write(body)
                } else {
                    refused(StatusCode::CONFLICT, "Conflict")
                }
            }
            (method, lease) => panic!("unexpected {method} of {lease:?}"),
        }
    }

    fn spec(&self) -> LeaseSpec {
        let lease = self.lock().lease.clone().expect("a Lease");
        serde_json::from_value(lease["spec"].clone()).expect("its spec")
    }

    fn holder(&self) -> Option<String> {
        self.spec().holder_identity
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn write(&mut self, body: &[u8]) -> (StatusCode, Value) {
        let mut lease: Value = serde_json::from_slice(body).expect("JSON");
        self.version += 1;
        lease["metadata"]["resourceVersion"] = json!(self.version.to_string());
        self.lease = Some(lease.clone());
        (StatusCode::OK, lease)
    }
}

fn refused(code: StatusCode, reason: &str) -> (StatusCode, Value) {
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "status": "Failure",
        "message": reason, "reason": reason, "code": code.as_u16(),
    });
    (code, status)
}

/// A replica that runs for election until it is stopped or its task is aborted.
struct Replica {
    leadership: Arc<Leadership>,
    losses: Arc<AtomicUsize>,
    stop: CancellationToken,
    task: JoinSet<()>,
    _terms: JoinSet<()>,
}

impl Replica {
    fn start(server: &Arc<Server>, pod: &str) -> Self {
        let leadership = Arc::new(Leadership::new(true));
        let losses = Arc::new(AtomicUsize::new(0));
        let lost = {
            let (losses, leadership) = (Arc::clone(&losses), Arc::clone(&leadership));
            async move {
                loop {
                    leadership.begun().await;
                    leadership.ended().await;
                    losses.fetch_add(1, Ordering::Relaxed);
                }
            }
        };
        let election = Arc::clone(leadership.election().expect("an election"));
        let candidate = Candidate::new(server.client(), "own", pod, Addresses::default(), election);
        let stop = CancellationToken::new();
        let mut task = JoinSet::new();
        task.spawn(candidate.run(stop.clone()));
        let mut terms = JoinSet::new();
        terms.spawn(lost);
        Self {
            leadership,
            losses,
            stop,
            task,
            _terms: terms,
        }
    }

    fn leads(&self) -> bool {
        self.leadership.leads()
    }

    /// Waits until it leads, or does not; returns how long that took.
    async fn until(&self, leads: bool) -> Duration {
        let started = Instant::now();
        while self.leads() != leads {
            assert!(started.elapsed() < 60 * SECOND, "leads: {}", self.leads());
            time::sleep(Duration::from_millis(10)).await;
        }
        started.elapsed()
    }
}

#[tokio::test(start_paused = true)]
async fn the_first_candidate_leads_and_renews_while_the_second_waits() {
    let server = Arc::new(Server::default());
    let first = Replica::start(&server, "a");
    first.until(true).await;
    let second = Replica::start(&server, "b");
    time::sleep(120 * SECOND).await;
    assert!(first.leads() && !second.leads());
    let spec = server.spec();
    assert!(
        spec.holder_identity
            .is_some_and(|holder| holder.starts_with("a_"))
    );
    assert_eq!(spec.lease_transitions, Some(0));
    assert_eq!(spec.lease_duration_seconds, Some(15));
    assert!(spec.acquire_time <= spec.renew_time);
    assert_eq!(first.losses.load(Ordering::Relaxed), 0);
}

#[tokio::test(start_paused = true)]
async fn a_killed_leader_is_replaced_after_the_duration_of_the_lease() {
    let server = Arc::new(Server::default());
    let mut first = Replica::start(&server, "a");
    first.until(true).await;
    let second = Replica::start(&server, "b");
    time::sleep(5 * SECOND).await;
    first.task.abort_all();
    let took = second.until(true).await;
    assert!(took + RENEW > DURATION, "after {took:?}");
    assert!(took <= DURATION + 2 * SECOND, "after {took:?}");
    assert_eq!(server.spec().lease_transitions, Some(1));
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_stops_releases_the_lease() {
    let server = Arc::new(Server::default());
    let mut first = Replica::start(&server, "a");
    first.until(true).await;
    let second = Replica::start(&server, "b");
    time::sleep(5 * SECOND).await;
    first.stop.cancel();
    assert!(
        first
            .task
            .join_next()
            .await
            .is_some_and(|ended| ended.is_ok())
    );
    assert_eq!(server.holder(), None);
    let took = second.until(true).await;
    assert!(took <= POLL + SECOND, "after {took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_cannot_renew_stops_before_the_lease_expires() {
    let server = Arc::new(Server::default());
    let first = Replica::start(&server, "a");
    first.until(true).await;
    time::sleep(5 * SECOND).await;
    server.lock().hanging = true;
    let took = first.until(false).await;
    assert!(took <= RENEW_WITHIN, "after {took:?}");
    time::sleep(REQUEST_TIMEOUT).await;
    assert_eq!(first.losses.load(Ordering::Relaxed), 1);

    server.lock().hanging = false;
    let second = Replica::start(&server, "b");
    first.until(true).await;
    assert!(!second.leads(), "the Lease was still the first one's");
}

#[tokio::test(start_paused = true)]
async fn leadership_is_lost_at_the_next_renewal_when_the_holder_changes() {
    let server = Arc::new(Server::default());
    let first = Replica::start(&server, "a");
    first.until(true).await;
    let mut lease = server.lock().lease.clone().expect("a Lease");
    lease["spec"]["holderIdentity"] = json!("other");
    server.lock().write(lease.to_string().as_bytes());
    let took = first.until(false).await;
    assert!(took <= RENEW + SECOND, "after {took:?}");
    assert_eq!(server.holder().as_deref(), Some("other"));
}

#[tokio::test(start_paused = true)]
async fn leadership_survives_an_edit_of_the_lease() {
    let server = Arc::new(Server::default());
    let first = Replica::start(&server, "a");
    first.until(true).await;
    let mut lease = server.lock().lease.clone().expect("a Lease");
    lease["metadata"]["labels"] = json!({ "team": "a" });
    server.lock().write(lease.to_string().as_bytes());
    time::sleep(30 * SECOND).await;
    assert!(first.leads());
    assert_eq!(first.losses.load(Ordering::Relaxed), 0);
    let lease = server.lock().lease.clone().expect("a Lease");
    assert_eq!(lease["metadata"]["labels"]["team"], "a", "it is kept");
}

#[tokio::test(start_paused = true)]
async fn a_candidate_without_permissions_retries() {
    let server = Arc::new(Server::default());
    server.lock().forbidden = true;
    let first = Replica::start(&server, "a");
    time::sleep(60 * SECOND).await;
    assert!(!first.leads());
    assert!(server.lock().requests.len() > 30);
    server.lock().forbidden = false;
    first.until(true).await;
}

#[tokio::test(start_paused = true)]
async fn one_of_many_concurrent_candidates_leads() {
    let server = Arc::new(Server::default());
    let replicas: Vec<_> = (0..20)
        .map(|number| Replica::start(&server, &number.to_string()))
        .collect();
    time::sleep(3 * SECOND).await;
    let leading = replicas.iter().filter(|replica| replica.leads()).count();
    assert_eq!(leading, 1);
}
