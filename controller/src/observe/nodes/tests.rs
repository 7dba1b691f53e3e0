//! Nodes of a scripted API server that counts requests, on a paused clock.

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

/// The response, and the number of requests.
#[derive(Clone)]
struct Script(Arc<Mutex<(Reply, usize)>>);

#[derive(Clone, Copy)]
enum Reply {
    Node(&'static str),
    Status(u16),
    Never,
}

impl Script {
    fn new(reply: Reply) -> (Self, Nodes) {
        let script = Self(Arc::new(Mutex::new((reply, 0))));
        let served = script.clone();
        let service = service_fn(move |request: HttpRequest<Body>| {
            assert_eq!(request.uri().path(), "/api/v1/nodes/node-1");
            let reply = {
                let mut script = served.0.lock();
                script.1 += 1;
                script.0
            };
            async move {
                time::sleep(Duration::from_millis(10)).await;
                let (status, body) = match reply {
                    Reply::Node(architecture) => (200, node(architecture)),
                    Reply::Status(status) => (status, refusal(status)),
                    Reply::Never => std::future::pending().await,
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

    fn reply(&self, reply: Reply) {
        self.0.lock().0 = reply;
    }

    /// The number of requests.
    fn requests(&self) -> usize {
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
async fn a_node_is_read_once_for_concurrent_and_later_lookups() {
    let (script, nodes) = Script::new(Reply::Node("amd64"));
    let all = future::join_all((0..10).map(|_| get(&nodes, "node-1"))).await;
    assert_eq!(all, vec![amd64(); 10]);
    time::advance(Duration::from_secs(24 * 3600)).await;
    assert_eq!(get(&nodes, "node-1").await, amd64());
    assert_eq!(script.requests(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_node_that_cannot_be_read_is_requested_again_soon() {
    for fault in [Reply::Status(500), Reply::Never] {
        let (script, nodes) = Script::new(fault);
        let all = future::join_all((0..10).map(|_| get(&nodes, "node-1"))).await;
        assert_eq!(all, vec![Node::Unread; 10]);
        assert_eq!(script.requests(), 1, "one for all of them");
        script.reply(Reply::Node("amd64"));
        time::advance(PAUSE).await;
        assert_eq!(get(&nodes, "node-1").await, amd64());
    }
}

#[tokio::test(start_paused = true)]
async fn forbidden_nodes_are_requested_again_after_ten_minutes() {
    let (script, nodes) = Script::new(Reply::Status(403));
    assert_eq!(get(&nodes, "node-1").await, Node::OfAny);
    time::advance(FORBIDDEN_FOR / 2).await;
    assert_eq!(get(&nodes, "node-1").await, Node::OfAny);
    assert_eq!(get(&nodes, "node-2").await, Node::OfAny);
    assert_eq!(script.requests(), 1);
    script.reply(Reply::Node("amd64"));
    time::advance(FORBIDDEN_FOR / 2).await;
    assert_eq!(get(&nodes, "node-1").await, amd64());
}

#[tokio::test(start_paused = true)]
async fn a_starting_api_server_that_forbids_nodes_leaves_them_unread() {
    let (script, nodes) = Script::new(Reply::Status(503));
    for reply in [Reply::Status(503), Reply::Status(403)] {
        script.reply(reply);
        assert_eq!(get(&nodes, "node-1").await, Node::Unread);
        time::advance(PAUSE).await;
    }
    script.reply(Reply::Node("amd64"));
    assert_eq!(get(&nodes, "node-1").await, amd64());
}

#[tokio::test(start_paused = true)]
async fn a_missing_node_is_gone_but_not_for_ever() {
    let (script, nodes) = Script::new(Reply::Status(404));
    assert_eq!(get(&nodes, "node-1").await, Node::Gone);
    time::advance(GONE_FOR / 2).await;
    assert_eq!(get(&nodes, "node-1").await, Node::Gone);
    time::advance(GONE_FOR / 2).await;
    assert_eq!(get(&nodes, "node-1").await, Node::OfAny);
    script.reply(Reply::Node("amd64"));
    time::advance(FORBIDDEN_FOR).await;
    assert_eq!(get(&nodes, "node-1").await, amd64(), "it is back");
}

#[tokio::test(start_paused = true)]
async fn a_node_that_reports_no_platform_is_of_any() {
    let (script, nodes) = Script::new(Reply::Node(""));
    assert_eq!(get(&nodes, "node-1").await, Node::OfAny);
    script.reply(Reply::Node("amd64"));
    time::advance(FORBIDDEN_FOR).await;
    assert_eq!(get(&nodes, "node-1").await, amd64());
}
