//! Hands requests on to the replica that leads: a Service reaches every one, and most senders send a hint once.

use std::{sync::Arc, time::Duration};

use http::{HeaderMap, HeaderValue, StatusCode, header, request::Parts};
use hyper::body::Bytes;
use kube_autorollout_registry::{TokenClient, TokenRequest};
use tracing::warn;

use super::answer::{Answer, later};
use crate::{
    constants::HANDED_ON, error_chain::Chain, leader_election::leadership::Leadership,
    server::http::text,
};

/// The leader has so long to answer, besides what the request asks it to wait.
const TIMEOUT: Duration = Duration::from_secs(15);

/// Headers of one connection, and those that the client writes itself.
const NOT_HANDED_ON: [header::HeaderName; 6] = [
    header::HOST,
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::TRANSFER_ENCODING,
    header::USER_AGENT,
    header::EXPECT,
];

/// The replica that leads, as the Lease says.
pub(crate) struct Leader {
    client: TokenClient,
    leadership: Arc<Leadership>,
}

impl Leader {
    /// Sends with this client, which has no proxy.
    pub(crate) fn new(client: TokenClient, leadership: Arc<Leadership>) -> Self {
        Self { client, leadership }
    }

    /// Hands a request on as it came, and gives the leader's answer. The leader authenticates it.
    pub(super) async fn answer(&self, head: &Parts, body: Bytes, wait: Duration) -> Answer {
        let was_handed_on = head.headers.contains_key(HANDED_ON);
        let leader = self.leadership.leader();
        let leader = leader.and_then(|leader| leader.addresses.hints);
        let (false, Some(leader)) = (was_handed_on, leader) else {
            return later("no replica leads now");
        };
        let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
        let url = format!("http://{leader}{path}");
        let request = TokenRequest::post(url, body, TIMEOUT.saturating_add(wait));
        let request = handed_on(&head.headers).fold(request, |request, (name, value)| {
            request.header(name, value)
        });
        match self.client.send(request.header(HANDED_ON, "1")).await {
            Ok(response) => {
                let status = StatusCode::from_u16(response.status());
                let status = status.unwrap_or(StatusCode::BAD_GATEWAY);
                let mut answer = text(status, Bytes::copy_from_slice(response.body()));
                for name in [header::CONTENT_TYPE, header::RETRY_AFTER] {
                    let value = response.header(name.as_str()).map(HeaderValue::from_str);
                    if let Some(Ok(value)) = value {
                        answer.headers_mut().insert(name, value);
                    }
                }
                answer
            }
            Err(error) => {
                warn!(%leader, error = %Chain(&error), "cannot hand a hint on to the leader");
                later("the leader does not answer")
            }
        }
    }
}

/// The headers that go with a request.
fn handed_on(headers: &HeaderMap) -> impl Iterator<Item = (&str, &str)> {
    let kept = headers
        .iter()
        .filter(|(name, _)| !NOT_HANDED_ON.contains(name));
    kept.filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)))
}
