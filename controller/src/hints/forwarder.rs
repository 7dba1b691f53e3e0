//! Forwards requests to the leader: the Service routes to any replica, and most senders do not retry.

use std::{sync::Arc, time::Duration};

use http::{HeaderMap, HeaderValue, StatusCode, header, request::Parts};
use hyper::body::Bytes;
use kube_autorollout_registry::{ExternalClient, ExternalRequest};
use tracing::warn;

use super::response::{Response, unavailable};
use crate::{
    constants::FORWARDED, error_chain::Chain, leader_election::leadership::Leadership,
    server::admin::text,
};

/// Timeout of the request to the leader, in addition to the time that the sender asked to wait.
const TIMEOUT: Duration = Duration::from_secs(15);

/// Hop-by-hop headers, and those that the client sets itself.
const NOT_FORWARDED: [header::HeaderName; 6] = [
    header::HOST,
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::TRANSFER_ENCODING,
    header::USER_AGENT,
    header::EXPECT,
];

/// Forwards requests to the replica that leads by the Lease.
pub(crate) struct Forwarder {
    client: ExternalClient,
    leadership: Arc<Leadership>,
}

impl Forwarder {
    /// The client must not use a proxy.
    pub(crate) fn new(client: ExternalClient, leadership: Arc<Leadership>) -> Self {
        Self { client, leadership }
    }

    /// Forwards a request unchanged, and returns the leader's response. The leader authenticates it.
    pub(super) async fn forward(&self, head: &Parts, body: Bytes, wait: Duration) -> Response {
        let is_forwarded = head.headers.contains_key(FORWARDED);
        let leader = self.leadership.leader();
        let leader = leader.and_then(|leader| leader.addresses.hints);
        let (false, Some(leader)) = (is_forwarded, leader) else {
            return unavailable("no replica is leading");
        };
        let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
        let url = format!("http://{leader}{path}");
        let request = ExternalRequest::post(url, body, TIMEOUT.saturating_add(wait));
        let request = forwarded(&head.headers).fold(request, |request, (name, value)| {
            request.header(name, value)
        });
        match self.client.send(request.header(FORWARDED, "1")).await {
            Ok(response) => {
                let status = StatusCode::from_u16(response.status());
                let status = status.unwrap_or(StatusCode::BAD_GATEWAY);
                let mut forwarded = text(status, Bytes::copy_from_slice(response.body()));
                for name in [header::CONTENT_TYPE, header::RETRY_AFTER] {
                    let value = response.header(name.as_str()).map(HeaderValue::from_str);
                    if let Some(Ok(value)) = value {
                        forwarded.headers_mut().insert(name, value);
                    }
                }
                forwarded
            }
            Err(error) => {
                warn!(%leader, error = %Chain(&error), "cannot forward a hint to the leader");
                unavailable("the leader does not respond")
            }
        }
    }
}

/// The headers that are forwarded with a request.
fn forwarded(headers: &HeaderMap) -> impl Iterator<Item = (&str, &str)> {
    let kept = headers
        .iter()
        .filter(|(name, _)| !NOT_FORWARDED.contains(name));
    kept.filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)))
}
