//! Forwards requests to the leader.

use std::{sync::Arc, time::Duration};

use http::{StatusCode, request::Parts};
use hyper::body::Bytes;
use kube_autorollout_registry::{ExternalClient, ExternalRequest};
use tokio::sync::Semaphore;
use tracing::warn;

use crate::{constants::FORWARDED, error_chain::Chain, leader_election::leadership::Leadership};

/// Timeout of the request to the leader.
const TIMEOUT: Duration = Duration::from_secs(15);

/// Maximum size of a response in bytes, enough for more than 20 000 workloads.
const MAX_BODY: usize = 16 * 1024 * 1024;

/// Concurrent requests, as each response is buffered.
const PERMITS: usize = 2;

/// There is no response of a leader, and why.
pub(super) struct Unavailable(pub(super) String);

/// Forwards requests to the replica that leads by the Lease.
pub(crate) struct Forwarder {
    client: ExternalClient,
    leadership: Arc<Leadership>,
    permits: Semaphore,
}

impl Forwarder {
    /// The client must not use a proxy.
    pub(crate) fn new(client: ExternalClient, leadership: Arc<Leadership>) -> Self {
        Self {
            client,
            leadership,
            permits: Semaphore::new(PERMITS),
        }
    }

    /// Forwards a request, and returns the leader's response.
    pub(super) async fn forward(&self, head: &Parts) -> Result<(StatusCode, Bytes), Unavailable> {
        let is_forwarded = head.headers.contains_key(FORWARDED);
        let leader = self.leadership.leader().filter(|_| !is_forwarded);
        let Some(leader) = leader else {
            return Err(Unavailable("no replica is leading".to_owned()));
        };
        let name = leader.name;
        let Some(address) = leader.addresses.overview else {
            let message = format!("{name} leads, but its address is unknown: request it directly");
            return Err(Unavailable(message));
        };
        let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
        let url = format!("http://{address}{path}");
        let request = ExternalRequest::get(url, TIMEOUT)
            .header(FORWARDED, "1")
            .max_bytes(MAX_BODY);
        let _permit = self.permits.acquire().await;
        match self.client.send(request).await {
            Ok(response) => {
                let status = StatusCode::from_u16(response.status());
                let status = status.unwrap_or(StatusCode::BAD_GATEWAY);
                Ok((status, response.into_body()))
            }
            Err(error) => {
                warn!(leader = name, error = %Chain(&error), "cannot forward a request to the leader");
                Err(Unavailable(format!("{name} leads, but does not respond")))
            }
        }
    }
}
