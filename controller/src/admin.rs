//! The HTTP server for kubelets and Prometheus.

use std::{convert::Infallible, net::SocketAddr, sync::Arc, time::Duration};

use http::{Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::{
    body::{Bytes, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    task::JoinSet,
};
use tracing::{debug, warn};

use crate::health::Health;

/// Connections served at once: a handful of probes and scrapers, and a bound on what strangers can cost.
const CONNECTIONS: usize = 64;

/// A client has so long to send the head of its request.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);

/// Gives the metrics of this moment, as text.
pub(crate) type Scrape = Arc<dyn Fn() -> String + Send + Sync>;

/// Answers on the listener until the future is dropped.
pub(crate) async fn serve(listener: TcpListener, health: Arc<Health>, scrape: Scrape) {
    let slots = Arc::new(Semaphore::new(CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else {
            return;
        };
        while connections.try_join_next().is_some() {}
        match listener.accept().await {
            Ok((stream, _)) => {
                let (health, scrape) = (Arc::clone(&health), Arc::clone(&scrape));
                connections.spawn(async move {
                    converse(stream, &health, &scrape).await;
                    drop(slot);
                });
            }
            Err(error) => {
                // Out of file descriptors, most likely: waiting lets some be closed.
                warn!(%error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
    }
}

/// Opens the port on every address of the host, IPv6 where there is any.
///
/// # Errors
///
/// When the port is taken or may not be used.
pub(crate) async fn listen(port: u16) -> std::io::Result<TcpListener> {
    match TcpListener::bind(SocketAddr::from(([0u16; 8], port))).await {
        Ok(listener) => Ok(listener),
        Err(_) => TcpListener::bind(SocketAddr::from(([0u8; 4], port))).await,
    }
}

async fn converse(stream: TcpStream, health: &Health, scrape: &Scrape) {
    let service =
        service_fn(|request| async move { Ok::<_, Infallible>(answer(&request, health, scrape)) });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service);
    if let Err(error) = connection.await {
        debug!(%error, "a connection to the admin server ended early");
    }
}

fn answer(request: &Request<Incoming>, health: &Health, scrape: &Scrape) -> Response<Full<Bytes>> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return text(StatusCode::METHOD_NOT_ALLOWED, "only GET is answered\n");
    }
    match request.uri().path() {
        "/health/live" | "/livez" => verdict(health.is_live()),
        "/health/ready" | "/readyz" => verdict(health.is_ready()),
        "/metrics" => {
            let mut response = text(StatusCode::OK, scrape());
            let kind = header::HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
            response.headers_mut().insert(header::CONTENT_TYPE, kind);
            response
        }
        _ => text(
            StatusCode::NOT_FOUND,
            "there are /livez, /readyz and /metrics here\n",
        ),
    }
}

fn verdict(good: bool) -> Response<Full<Bytes>> {
    if good {
        text(StatusCode::OK, "ok\n")
    } else {
        text(StatusCode::SERVICE_UNAVAILABLE, "not ok\n")
    }
}

fn text(status: StatusCode, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    response
}
