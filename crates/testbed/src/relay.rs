//! What servers have in common that stand before a registry and pass requests on to it, over plain HTTP on both sides.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
};

use bytes::Bytes;
use http::{Request, Response, Uri, request::Parts};
use http_body_util::{BodyExt as _, Full};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioIo},
};
use tokio::{net::TcpListener, task::JoinSet};

/// There is no answer, and the connection ends.
#[derive(Debug, thiserror::Error)]
#[error("no answer")]
pub(crate) struct NoAnswer;

/// What is answered to a request.
pub(crate) type Answer = Result<Response<Full<Bytes>>, NoAnswer>;

/// A server that answers requests one by one.
pub(crate) trait Relay: Send + Sync + 'static {
    /// The answer to one request.
    fn answer(&self, request: Request<Incoming>) -> impl Future<Output = Answer> + Send;
}

/// Listens on a free port of loopback; gives the host as it stands in image references, and tasks that end the server
/// when they are dropped.
///
/// # Errors
///
/// When no port is to be had.
pub(crate) async fn listen(relay: Arc<impl Relay>) -> io::Result<(String, JoinSet<()>)> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let host = listener.local_addr()?.to_string();
    let mut tasks = JoinSet::new();
    tasks.spawn(serve(listener, relay));
    Ok((host, tasks))
}

async fn serve(listener: TcpListener, relay: Arc<impl Relay>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                // One that is gone before it was accepted needs no answer
                let Ok((stream, _)) = accepted else { continue };
                let relay = Arc::clone(&relay);
                connections.spawn(async move {
                    let service = service_fn(|request| relay.answer(request));
                    let stream = TokioIo::new(stream);
                    let served = http1::Builder::new().serve_connection(stream, service);
                    drop(served.await); // what went wrong is the client's to see
                });
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

/// The registry behind a relay.
#[derive(Debug)]
pub(crate) struct Upstream {
    registry: String,
    client: Client<HttpConnector, Full<Bytes>>,
}

impl Upstream {
    pub(crate) fn new(registry: SocketAddr) -> Self {
        Self {
            registry: registry.to_string(),
            client: Client::builder(TokioExecutor::new()).build_http(),
        }
    }

    /// What the registry answers to a request for this path and query.
    pub(crate) async fn answer(
        &self,
        head: Parts,
        body: Incoming,
        target: &str,
    ) -> Result<Response<Bytes>, NoAnswer> {
        let body = body.collect().await.map_err(|_| NoAnswer)?.to_bytes();
        let uri: Result<Uri, _> = format!("http://{}{target}", self.registry).parse();
        let mut request = Request::from_parts(head, Full::new(body));
        *request.uri_mut() = uri.map_err(|_| NoAnswer)?;
        let response = self.client.request(request).await.map_err(|_| NoAnswer)?;
        let (head, body) = response.into_parts();
        let body = body.collect().await.map_err(|_| NoAnswer)?.to_bytes();
        Ok(Response::from_parts(head, body))
    }
}

/// The path and query of a request.
pub(crate) fn target(head: &Parts) -> &str {
    let target = head.uri.path_and_query();
    target.map_or("/", |target| target.as_str())
}

/// The repository and the tag or digest in the path of a manifest.
pub(crate) fn manifest(path: &str) -> Option<(&str, &str)> {
    path.strip_prefix("/v2/")?.split_once("/manifests/")
}

/// Whether what stands in the place of a tag is a digest.
pub(crate) fn is_digest(reference: &str) -> bool {
    reference.contains(':')
}
