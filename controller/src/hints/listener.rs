//! The listener for senders of hints.

use std::{sync::Arc, time::Duration};

use tokio::net::TcpListener;

use super::Pipeline;
use crate::server::connections::{self, Limits};

/// More connections than senders have at once, and a bound on what strangers can cost.
const LIMITS: Limits = Limits {
    connections: 128,
    header_timeout: Duration::from_secs(5),
};

/// Answers on the listener until the future is dropped.
pub(crate) async fn serve(listener: TcpListener, pipeline: Arc<Pipeline>) {
    let service: connections::Service = Arc::new(move |request| {
        let pipeline = Arc::clone(&pipeline);
        Box::pin(async move { pipeline.answer(request).await })
    });
    connections::serve(listener, LIMITS, service).await;
}
