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
