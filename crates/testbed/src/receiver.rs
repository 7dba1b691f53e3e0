//! A server that takes notifications, and can be one of those that do not.

use std::{
    collections::VecDeque,
    future::pending,
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpListener, task::JoinSet, time::Instant};

use crate::locked::locked;

/// A server on loopback that accepts every request, unless it is to reply otherwise. It runs in the runtime that starts it.
#[derive(Debug)]
pub struct Receiver {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    _server: JoinSet<()>,
}

/// What a request is answered with.
#[derive(Debug, Clone)]
pub enum Reply {
    /// A response of this status.
    Status(u16),
    /// The same, with a header.
    With(u16, &'static str, String),
    /// Nothing, for ever.
    Hang,
    /// The end of the connection.
    Close,
}

/// A request that came.
#[derive(Debug, Clone)]
pub struct Received {
    /// How.
    pub method: Method,
    /// Where to, with its query.
    pub path: String,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
    /// When.
    pub at: Instant,
}

#[derive(Debug, Default)]
struct State {
    replies: VecDeque<Reply>,
    received: Vec<Received>,
}

/// There is no answer, and the connection ends.
#[derive(Debug, thiserror::Error)]
#[error("no answer")]
struct NoAnswer;

impl Receiver {
    /// Starts a server on a free port.
    ///
    /// # Errors
    ///
    /// When there is none.
    pub async fn start() -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let state = Arc::new(Mutex::new(State::default()));
        let mut server = JoinSet::new();
        server.spawn(serve(listener, Arc::clone(&state)));
        Ok(Self {
            address,
            state,
            _server: server,
        })
    }

    /// The URL of a path, which begins with a slash.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Answers the next requests so, each with one of them, and those after them well.
    pub fn reply(&self, replies: impl IntoIterator<Item = Reply>) {
        locked(&self.state).replies.extend(replies);
    }

    /// All requests so far.
    pub fn received(&self) -> Vec<Received> {
        locked(&self.state).received.clone()
    }

    /// The bodies of all requests so far, as JSON; null where one is none.
    pub fn bodies(&self) -> Vec<serde_json::Value> {
        let received = self.received().into_iter();
        let bodies = received.map(|request| serde_json::from_slice(&request.body));
        bodies.map(Result::unwrap_or_default).collect()
    }
}

async fn serve(listener: TcpListener, state: Arc<Mutex<State>>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else { continue };
                let state = Arc::clone(&state);
                connections.spawn(async move {
                    let service = service_fn(|request| answer(request, &state));
                    let connection = http1::Builder::new();
                    // An end without an answer is an error here, and what was wanted.
                    drop(connection.serve_connection(TokioIo::new(stream), service).await);
                });
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn answer(
    request: Request<Incoming>,
    state: &Mutex<State>,
) -> Result<Response<Full<Bytes>>, NoAnswer> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(|_| NoAnswer)?.to_bytes();
    let reply = {
        let mut state = locked(state);
        let path = head.uri.path_and_query();
        state.received.push(Received {
            method: head.method,
            path: path.map(ToString::to_string).unwrap_or_default(),
            headers: head.headers,
            body,
            at: Instant::now(),
        });
        state.replies.pop_front().unwrap_or(Reply::Status(200))
    };
    let (status, header) = match reply {
        Reply::Status(status) => (status, None),
        Reply::With(status, name, value) => (status, Some((name, value))),
        Reply::Hang => pending().await,
        Reply::Close => return Err(NoAnswer),
    };
    let mut response =
        Response::builder().status(StatusCode::from_u16(status).map_err(|_| NoAnswer)?);
    if let Some((name, value)) = header {
        response = response.header(name, value);
    }
    response.body(Full::default()).map_err(|_| NoAnswer)
}
