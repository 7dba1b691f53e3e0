//! A server that receives notifications, and can fail to.

use std::{collections::VecDeque, future::pending, io, sync::Arc};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::server::{Handler, NoResponse, Outcome, Server};

/// A server on loopback that accepts every request, unless a test sets other replies. It runs in the runtime that
/// starts it.
#[derive(Debug)]
pub struct Receiver {
    server: Server,
    state: Arc<Mutex<State>>,
}

/// The reply to a request.
#[derive(Debug, Clone)]
pub enum Reply {
    /// A response of this status.
    Status(u16),
    /// The same, with a header.
    With(u16, &'static str, String),
    /// Nothing, for ever.
    Hang,
    /// The connection is closed.
    Close,
}

/// A request that was received.
#[derive(Debug, Clone)]
pub struct Received {
    /// The method.
    pub method: Method,
    /// The path with its query.
    pub path: String,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
    /// When it was received.
    pub at: Instant,
}

#[derive(Debug, Default)]
struct State {
    replies: VecDeque<Reply>,
    received: Vec<Received>,
}

impl Receiver {
    /// Starts a server on a free port.
    ///
    /// # Errors
    ///
    /// When there is none.
    pub async fn start() -> io::Result<Self> {
        let state = Arc::<Mutex<State>>::default();
        let server = Server::http(Arc::clone(&state)).await?;
        Ok(Self { server, state })
    }

    /// The URL of a path, which begins with a slash.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.server.host())
    }

    /// Sends these replies to the next requests, one to each, and 200 to all later ones.
    pub fn reply(&self, replies: impl IntoIterator<Item = Reply>) {
        self.state.lock().replies.extend(replies);
    }

    /// All requests so far.
    pub fn received(&self) -> Vec<Received> {
        self.state.lock().received.clone()
    }

    /// The bodies of all requests so far, as JSON; null where a body is not JSON.
    pub fn bodies(&self) -> Vec<serde_json::Value> {
        let received = self.received().into_iter();
        let bodies = received.map(|request| serde_json::from_slice(&request.body));
        bodies.map(Result::unwrap_or_default).collect()
    }
}

impl Handler for Mutex<State> {
    async fn respond(&self, request: Request<Incoming>) -> Outcome {
        let (head, body) = request.into_parts();
        let body = body.collect().await.map_err(|_| NoResponse)?.to_bytes();
        let path = head.uri.path_and_query();
        let received = Received {
            method: head.method,
            path: path.map(ToString::to_string).unwrap_or_default(),
            headers: head.headers,
            body,
            at: Instant::now(),
        };
        let reply = {
            let mut state = self.lock();
            state.received.push(received);
            state.replies.pop_front()
        };
        let (status, header) = match reply.unwrap_or(Reply::Status(200)) {
            Reply::Status(status) => (status, None),
            Reply::With(status, name, value) => (status, Some((name, value))),
            Reply::Hang => pending().await,
            Reply::Close => return Err(NoResponse),
        };
        let mut response = Response::builder().status(status);
        if let Some((name, value)) = header {
            response = response.header(name, value);
        }
        response.body(Full::default()).map_err(|_| NoResponse)
    }
}
