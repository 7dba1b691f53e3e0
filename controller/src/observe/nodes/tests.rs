//! Nodes of a scripted API server that counts what it is asked, on a paused clock.

use futures::future;
use http::{Request as HttpRequest, Response};
use kube::client::Body;
use serde_json::{Value, json};
use tokio::time;
use tokio_util::sync::CancellationToken;
use tower::{BoxError, service_fn};

use super::*;
use crate::{
    client::{Recovery, guarded},
    lookup::until_ready,
};

async fn get(nodes: &Nodes, name: &str) -> Node {
    let name: Arc<str> = name.into();
    until_ready(|waiter| nodes.lookup(&name, waiter)).await
}

/// What is answered, and how often something was asked for.
#[derive(Clone)]
struct Script(Arc<Mutex<(Answer, usize)>>);

#[derive(Clone, Copy)]
enum Answer {
    Is(&'static str),
    Says(u16),
    Never,
}

impl Script {
    fn new(answer: Answer) -> (Self, Nodes) {
        let script = Self(Arc::new(Mutex::new((answer, 0))));
        let served = script.clone();
        let service = service_fn(move |request: HttpRequest<Body>| {
            assert_eq!(request.uri().path(), "/api/v1/nodes/node-1");
            let answer = {
                let mut script = served.0.lock();
                script.1 += 1;
                script.0
            };
            async move {
                time::sleep(Duration::from_millis(10)).await;
                let (status, body) = match answer {
                    Answer::Is(architecture) => (200, node(architecture)),
                    Answer::Says(status) => (status, refusal(status)),
                    Answer::Never => std::future::pending().await,
                };
                let body = Body::from(body.to_string().into_bytes());
                Response::builder()
                    .status(status)
                    .body(body)
                    .map_err(BoxError::from)
            }
        });
        let fetches = Fetches::new(Arc::default(), CancellationToken::new());
        let service = guarded(service, Recovery::new()).expect("sound constants");
        (script, Nodes::new(Client::new(service, "own"), &fetches))
    }

    fn answer(&self, answer: Answer) {
        self.0.lock().0 = answer;
    }

    /// How often something was asked for.
    fn asked(&self) -> usize {
        self.0.lock().1
    }
}

fn node(architecture: &str) -> Value {
    let info = json!({ "operatingSystem": "linux", "architecture": architecture });
    json!({ "metadata": { "name": "node-1" }, "status": { "nodeInfo": info } })
}

fn refusal(status: u16) -> Value {
    let reason = match status {
        403 => "Forbidden",
        404 => "NotFound",
        _ => "InternalError",
    };
    json!({ "kind": "Status", "status": "Failure", "message": "no", "reason": reason, "code": status })
}

fn amd64() -> Node {
    Node::Of(Platform::new("linux", "amd64"))
}

#[tokio::test(start_paused = true)]
async fn a_node_is_read_once_for_all_who_ask_at_the_same_time_and_later() {
    let (script, nodes) = Script::new(Answer::Is("amd64"));
    let all = future::join_all((0..10).map(|_| get(&nodes, "node-1"))).await;
    assert_eq!(all, vec![amd64(); 10]);
    time::advance(Duration::from_secs(24 * 3600)).await;
    assert_eq!(get(&nodes, "node-1").await, amd64());
    assert_eq!(script.asked(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_node_that_cannot_be_read_is_a_doubt_and_asked_for_again_soon() {
    for fault in [Answer::Says(500), Answer::Never] {
        let (script, nodes) = Script::new(fault);
        let all = future::join_all((0..10).map(|_| get(&nodes, "node-1"))).await;
        assert_eq!(all, vec![Node::Unread; 10]);
        assert_eq!(script.asked(), 1, "one for all of them");
        script.answer(Answer::Is("amd64"));
        time::advance(PAUSE).await;
        assert_eq!(get(&nodes, "node-1").await, amd64());
    }
}

#[tokio::test(start_paused = true)]
async fn nodes_that_may_not_be_read_are_asked_for_again_after_ten_minutes() {
    let (script, nodes) = Script::new(Answer::Says(403));
    assert_eq!(get(&nodes, "node-1").await, Node::OfAny);
    time::advance(REFUSED_FOR / 2).await;
    assert_eq!(get(&nodes, "node-1").await, Node::OfAny);
    assert_eq!(get(&nodes, "node-2").await, Node::OfAny);
    assert_eq!(script.asked(), 1);
    script.answer(Answer::Is("amd64"));
    time::advance(REFUSED_FOR / 2).await;
    assert_eq!(get(&nodes, "node-1").await, amd64());
}

#[tokio::test(start_paused = true)]
async fn that_an_api_server_forbids_nodes_while_it_starts_is_a_doubt() {
    let (script, nodes) = Script::new(Answer::Says(503));
    for answer in [Answer::Says(503), Answer::Says(403)] {
        script.answer(answer);
        assert_eq!(get(&nodes, "node-1").await, Node::Unread);
        time::advance(PAUSE).await;
    }
    script.answer(Answer::Is("amd64"));
    assert_eq!(get(&nodes, "node-1").await, amd64());
}

#[tokio::test(start_paused = true)]
async fn the_pods_of_a_node_that_is_not_there_are_away_but_not_for_ever() {
    let (script, nodes) = Script::new(Answer::Says(404));
    assert_eq!(get(&nodes, "node-1").await, Node::Gone);
    time::advance(GONE_FOR / 2).await;
    assert_eq!(get(&nodes, "node-1").await, Node::Gone);
    time::advance(GONE_FOR / 2).await;
    assert_eq!(get(&nodes, "node-1").await, Node::OfAny);
    script.answer(Answer::Is("amd64"));
    time::advance(REFUSED_FOR).await;
    assert_eq!(get(&nodes, "node-1").await, amd64(), "it is back");
}

#[tokio::test(start_paused = true)]
async fn a_node_that_does_not_say_what_it_is_is_of_any_platform() {
    let (script, nodes) = Script::new(Answer::Is(""));
    assert_eq!(get(&nodes, "node-1").await, Node::OfAny);
    script.answer(Answer::Is("amd64"));
    time::advance(REFUSED_FOR).await;
    assert_eq!(get(&nodes, "node-1").await, amd64());
}
