//! A listener, its connections, and what answers their requests.

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

/// Answers a request. One type for all listeners: for each other one, the program would have a server of its own.
pub(crate) type Service =
    Arc<dyn Fn(Request<Incoming>) -> BoxFuture<'static, Response<Body>> + Send + Sync>;

/// How much a listener takes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Connections that are open at once.
    pub(crate) connections: usize,
    /// A client has so long to send the head of its request.
    pub(crate) header_timeout: Duration,
}

/// Answers on each connection of the listener until the future is dropped.
pub(crate) async fn serve(listener: TcpListener, limits: Limits, service: Service) {
    let mut open = Connections::at_most(limits.connections);
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    let service = Arc::clone(&service);
                    open.add(converse(stream, limits.header_timeout, service));
                }
                Err(error) => {
                    // Out of file descriptors, most likely: waiting lets some be closed.
                    warn!(%error, "cannot accept a connection");
                    open.close_oldest();
                    sleep(Duration::from_secs(1)).await;
                }
            },
            Some(_) = open.tasks.join_next() => {}
        }
    }
}

async fn converse(stream: TcpStream, header_timeout: Duration, service: Service) {
    let service = service_fn(move |request| {
        let answer = service(request);
        async move { Ok::<_, Infallible>(answer.await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(header_timeout)
        .serve_connection(TokioIo::new(stream), service);
    if let Err(error) = connection.await {
        debug!(%error, "a connection ended early");
    }
}

/// The connections that are open. A client is never refused for others: of too many the oldest is closed, which has had the
/// most time to ask, and a request takes milliseconds.
struct Connections {
    most: usize,
    tasks: JoinSet<()>,
    /// The oldest first.
    open: VecDeque<AbortHandle>,
}

impl Connections {
    /// None yet, and never more than so many.
    fn at_most(most: usize) -> Self {
        Self {
            most,
            tasks: JoinSet::new(),
            open: VecDeque::new(),
        }
    }

    fn add(&mut self, connection: impl Future<Output = ()> + Send + 'static) {
        self.open.retain(|connection| !connection.is_finished());
        if self.open.len() >= self.most {
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
