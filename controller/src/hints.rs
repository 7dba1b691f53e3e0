//! Hints: a registry or a CI job announces that an image was pushed, and the image is checked immediately.
//!
//! A hint leads to the ordinary check and to nothing else. Hints have a listener of their own, whose port is open only if
//! receivers are configured.

mod body;
mod checks;
mod forwarder;
mod issuers;
mod pipeline;
mod receivers;
mod response;
mod wait;

use std::{sync::Arc, time::Duration};

use tokio::net::TcpListener;

pub(crate) use self::{
    checks::Checks,
    forwarder::Forwarder,
    issuers::Issuers,
    pipeline::Pipeline,
    receivers::Receivers,
    wait::{Report, Row},
};
use crate::server::connections::{self, Limits};

/// More connections than senders open at once. It bounds the cost of unknown clients.
const LIMITS: Limits = Limits {
    connections: 128,
    header_timeout: Duration::from_secs(5),
};

/// Serves the listener for hints until the future is dropped.
pub(crate) async fn serve(listener: TcpListener, pipeline: Arc<Pipeline>) {
    let service: connections::Service = Arc::new(move |request| {
        let pipeline = Arc::clone(&pipeline);
        Box::pin(async move { pipeline.respond(request).await })
    });
    connections::serve(listener, LIMITS, service).await;
}
