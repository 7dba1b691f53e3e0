//! The admin server: probes, metrics and the overview.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use http::{Method, Request, Response, StatusCode, header};
use hyper::body::{Bytes, Incoming};
use tokio::net::TcpListener;

use super::{
    body::{self, Body},
    connections::{self, Limits, Service},
    health::Health,
};

/// More connections than probes and scrapers open. It bounds the cost of unknown clients.
const LIMITS: Limits = Limits {
    connections: 64,
    header_timeout: Duration::from_secs(10),
};

/// The paths of the overview, as HTML and JSON.
pub(crate) const OVERVIEW: [&str; 2] = ["/", "/status.json"];

/// Encodes the present metrics as text.
pub(crate) type Scrape = Arc<dyn Fn() -> String + Send + Sync>;

/// Serves the listener until the future is dropped.
pub(crate) async fn serve(
    listener: TcpListener,
    health: Arc<Health>,
    scrape: Scrape,
    overview: Service,
) {
    let service: Service = Arc::new(move |request| {
        let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
        if is_read && OVERVIEW.contains(&request.uri().path()) {
            return overview(request);
        }
        let response = respond(&request, &health, &scrape);
        Box::pin(async { response })
    });
    connections::serve(listener, LIMITS, service).await;
}

/// Binds the port on all addresses, with IPv6 if it is available.
///
/// # Errors
///
/// When the port cannot be bound.
pub(crate) async fn listen(port: u16) -> std::io::Result<TcpListener> {
    match TcpListener::bind(SocketAddr::from(([0u16; 8], port))).await {
        Ok(listener) => Ok(listener),
        Err(_) => TcpListener::bind(SocketAddr::from(([0u8; 4], port))).await,
    }
}

fn respond(request: &Request<Incoming>, health: &Health, scrape: &Scrape) -> Response<Body> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "only GET is supported\n");
        let allowed = header::HeaderValue::from_static("GET, HEAD");
        response.headers_mut().insert(header::ALLOW, allowed);
        return response;
    }
    match request.uri().path() {
        "/health/live" | "/livez" => probe(health.is_live()),
        "/health/ready" | "/readyz" => probe(health.is_ready()),
        "/metrics" => {
            let mut response = text(StatusCode::OK, scrape());
            let kind = header::HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
            response.headers_mut().insert(header::CONTENT_TYPE, kind);
            response
        }
        _ => text(
            StatusCode::NOT_FOUND,
            "not found; paths are /, /status.json, /livez, /readyz and /metrics\n",
        ),
    }
}

fn probe(healthy: bool) -> Response<Body> {
    if healthy {
        text(StatusCode::OK, "ok\n")
    } else {
        text(StatusCode::SERVICE_UNAVAILABLE, "not ok\n")
    }
}

/// A plain text response.
pub(crate) fn text(status: StatusCode, body: impl Into<Bytes>) -> Response<Body> {
    let mut response = Response::new(body::full(body));
    *response.status_mut() = status;
    response
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpStream,
        task::JoinSet,
        time::timeout,
    };

    use super::*;
    use crate::leader_election::leadership::Leadership;

    /// Much less than the timeout of a probe, and of a silent client.
    const SOON: Duration = Duration::from_secs(5);

    async fn server() -> (JoinSet<()>, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let health = Arc::new(Health::new([], Arc::new(Leadership::new(false))));
        let scrape: Scrape = Arc::new(String::new);
        let mut tasks = JoinSet::new();
        let overview: Service = Arc::new(|_| Box::pin(async { text(StatusCode::NOT_FOUND, "") }));
        tasks.spawn(serve(listener, health, scrape, overview));
        (tasks, address)
    }

    async fn get(address: SocketAddr, path: &str) -> String {
        let mut stream = TcpStream::connect(address).await.expect("a connection");
        let request = format!("GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
        stream
            .write_all(request.as_bytes())
            .await
            .expect("a server");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("an answer");
        answer
    }

    #[tokio::test]
    async fn probes_succeed_with_many_silent_clients() {
        let (_tasks, address) = server().await;
        let mut silent = Vec::new();
        for number in 0..5 * LIMITS.connections {
            let mut stream = TcpStream::connect(address).await.expect("a connection");
            if number % 2 == 0 {
                let half = b"GET /metrics HTTP/1.1\r\nhost";
                stream.write_all(half).await.expect("a server");
            }
            silent.push(stream);
            if number % 50 == 0 {
                let answer = timeout(SOON, get(address, "/livez")).await;
                let answer = answer.expect("in time");
                assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
            }
        }
    }

    #[tokio::test]
    async fn the_oldest_connection_is_closed_at_the_limit() {
        let (_tasks, address) = server().await;
        let mut clients = Vec::new();
        for _ in 0..=LIMITS.connections {
            clients.push(TcpStream::connect(address).await.expect("a connection"));
        }
        let ended = timeout(SOON, clients[0].read_u8()).await;
        assert!(ended.expect("in time").is_err(), "it is closed");
        let open = timeout(Duration::from_millis(100), clients[1].read_u8()).await;
        assert!(open.is_err(), "{open:?}");
    }
}
