//! HTTP/1 listeners with a bounded number of connections.

use std::{collections::VecDeque, convert::Infallible, sync::Arc, time::Duration};

use futures::future::BoxFuture;
use http::{Request, Response};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    task::{AbortHandle, JoinSet},
    time::sleep,
};
use tracing::{debug, warn};

use super::body::Body;

/// The longest head of a request, in bytes: a token in it has at most 16 KiB. The default of hyper is 400 KiB, of each
/// connection.
const MAX_HEAD: usize = 32 * 1024;

/// Responds to requests. One type for all listeners, as the HTTP server is compiled for each type.
pub(crate) type Service =
    Arc<dyn Fn(Request<Incoming>) -> BoxFuture<'static, Response<Body>> + Send + Sync>;

/// Limits of a listener.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Maximum number of open connections.
    pub(crate) connections: usize,
    /// Timeout of reading the head of a request.
    pub(crate) header_timeout: Duration,
}

/// Serves the connections of the listener until the future is dropped.
pub(crate) async fn serve(listener: TcpListener, limits: Limits, service: Service) {
    let mut open = Connections::new(limits.connections);
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    let service = Arc::clone(&service);
                    open.add(serve_connection(stream, limits.header_timeout, service));
                }
                Err(error) => {
                    // Probably out of file descriptors: wait until some are closed.
                    warn!(%error, "cannot accept a connection");
                    open.close_oldest();
                    sleep(Duration::from_secs(1)).await;
                }
            },
            Some(_) = open.tasks.join_next() => {}
        }
    }
}

async fn serve_connection(stream: TcpStream, header_timeout: Duration, service: Service) {
    let service = service_fn(move |request| {
        let response = service(request);
        async move { Ok::<_, Infallible>(response.await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(header_timeout)
        .max_buf_size(MAX_HEAD)
        .serve_connection(TokioIo::new(stream), service);
    if let Err(error) = connection.await {
        debug!(%error, "a connection ended early");
    }
}

/// The open connections. A new connection is never refused: at the limit the oldest is closed, which had the most time for
/// its request.
struct Connections {
    limit: usize,
    tasks: JoinSet<()>,
    /// Oldest first.
    open: VecDeque<AbortHandle>,
}

impl Connections {
    /// No open connection.
    fn new(limit: usize) -> Self {
        Self {
            limit,
            tasks: JoinSet::new(),
            open: VecDeque::new(),
        }
    }

    fn add(&mut self, connection: impl Future<Output = ()> + Send + 'static) {
        self.open.retain(|connection| !connection.is_finished());
        if self.open.len() >= self.limit {
            self.close_oldest();
        }
        self.open.push_back(self.tasks.spawn(connection));
    }

    fn close_oldest(&mut self) {
        if let Some(oldest) = self.open.pop_front() {
            oldest.abort();
        }
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;
    use crate::server::body;

    /// The status line of the response to these bytes.
    async fn status(sent: &str) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let limits = Limits {
            connections: 1,
            header_timeout: Duration::from_secs(10),
        };
        let service: Service = Arc::new(|request| {
            Box::pin(async move {
                drop(request.into_body().collect().await);
                Response::new(body::full("ok"))
            })
        });
        let mut server = JoinSet::new();
        server.spawn(serve(listener, limits, service));
        let mut stream = TcpStream::connect(address).await.expect("a connection");
        stream.write_all(sent.as_bytes()).await.expect("sent");
        let mut response = vec![0; 64];
        let read = stream.read(&mut response).await.unwrap_or_default();
        let response = String::from_utf8_lossy(&response[..read]);
        response.lines().next().unwrap_or_default().to_owned()
    }

    #[tokio::test]
    async fn a_head_is_not_read_beyond_its_limit() {
        let begin = "GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ";
        let token = "a".repeat(16 * 1024);
        let accepted = status(&format!("{begin}{token}\r\n\r\n")).await;
        assert_eq!(accepted, "HTTP/1.1 200 OK");
        let endless = format!("{begin:a<MAX_HEAD$}");
        let refused = "HTTP/1.1 431 Request Header Fields Too Large";
        assert_eq!(status(&endless).await, refused);
    }
}
