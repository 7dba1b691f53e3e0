//! The listener for senders of hints.

use std::{convert::Infallible, sync::Arc, time::Duration};

use http::Request;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tracing::debug;

use super::Pipeline;
use crate::server::connections::{self, Connections};

/// Connections that are open at once.
const CONNECTIONS: usize = 128;

/// A sender has so long to send the head of its request.
const HEADER_TIMEOUT: Duration = Duration::from_secs(5);

/// Answers on the listener until the future is dropped.
pub(crate) async fn serve(listener: TcpListener, pipeline: Arc<Pipeline>) {
    let open = Connections::at_most(CONNECTIONS);
    connections::accept(listener, open, move |stream| {
        let pipeline = Arc::clone(&pipeline);
        async move { converse(stream, &pipeline).await }
    })
    .await;
}

async fn converse(stream: TcpStream, pipeline: &Pipeline) {
    let service = service_fn(|request: Request<Incoming>| async move {
        Ok::<_, Infallible>(pipeline.answer(request).await)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service);
    if let Err(error) = connection.await {
        debug!(%error, "a connection of a sender ended early");
    }
}
