//! HTTP/1.1 servers of this process, on loopback.

use std::{error::Error, io, net::Ipv4Addr, sync::Arc};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Request, Response, StatusCode,
    header::{AUTHORIZATION, AsHeaderName, CONTENT_TYPE},
};
use http_body_util::Full;
use hyper::{
    body::{Body, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

/// The connection is closed without a response.
#[derive(Debug, thiserror::Error)]
#[error("no response")]
pub(crate) struct NoResponse;

/// The outcome of a request.
pub(crate) type Outcome<B = Full<Bytes>> = Result<Response<B>, NoResponse>;

/// Responds to the requests of a server.
pub(crate) trait Handler<B = Full<Bytes>>: Send + Sync + 'static {
    /// Responds to one request.
    fn respond(&self, request: Request<Incoming>) -> impl Future<Output = Outcome<B>> + Send;
}

/// A server on a free port; dropping it closes the port and all connections.
#[derive(Debug)]
pub(crate) struct Server {
    host: String,
    _tasks: JoinSet<()>, // dropping it aborts them
}

impl Server {
    /// Accepts connections, each served by a task of its own.
    pub(crate) async fn accept<F>(
        serve: impl Fn(TcpStream) -> F + Send + 'static,
    ) -> io::Result<Self>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let host = listener.local_addr()?.to_string();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                tokio::select! {
                    accepted = listener.accept() => {
                        // An error concerns that connection only
                        let Ok((stream, _)) = accepted else { continue };
                        connections.spawn(serve(stream));
                    }
                    Some(_) = connections.join_next() => {}
                }
            }
        });
        Ok(Self {
            host,
            _tasks: tasks,
        })
    }

    /// Serves plain HTTP.
    pub(crate) async fn http<B>(handler: Arc<impl Handler<B>>) -> io::Result<Self>
    where
        B: Body<Data: Send, Error: Into<Box<dyn Error + Send + Sync>>> + Send + 'static,
    {
        Self::accept(move |stream| {
            let handler = Arc::clone(&handler);
            async move { serve(stream, &*handler).await }
        })
        .await
    }

    /// `127.0.0.1:<port>`.
    pub(crate) fn host(&self) -> &str {
        &self.host
    }
}

/// Serves one connection until it is closed. What goes wrong with it is reported by the client.
pub(crate) async fn serve<B>(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    handler: &impl Handler<B>,
) where
    B: Body<Error: Into<Box<dyn Error + Send + Sync>>> + 'static,
{
    let service = service_fn(|request| handler.respond(request));
    let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    drop(connection.with_upgrades().await);
}

/// A response with a JSON body.
pub(crate) fn json(status: StatusCode, body: &Value) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(body.to_string()));
    *response.status_mut() = status;
    let media_type = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, media_type);
    response
}

/// The text of a header; empty without one.
pub(crate) fn header(headers: &HeaderMap, name: impl AsHeaderName) -> &str {
    let value = headers.get(name).and_then(|value| value.to_str().ok());
    value.unwrap_or_default()
}

/// The user and the password of Basic authentication.
pub(crate) fn basic_login(headers: &HeaderMap) -> Option<(String, String)> {
    let encoded = header(headers, AUTHORIZATION).strip_prefix("Basic ")?;
    let decoded = String::from_utf8(BASE64_STANDARD.decode(encoded).ok()?).ok()?;
    let (user, password) = decoded.split_once(':')?;
    Some((user.to_owned(), password.to_owned()))
}
