//! Asks the replica that leads, where this one does not.

use std::{sync::Arc, time::Duration};

use http::{StatusCode, request::Parts};
use hyper::body::Bytes;
use kube_autorollout_registry::{TokenClient, TokenRequest};
use tokio::sync::Semaphore;
use tracing::warn;

use crate::{constants::HANDED_ON, error_chain::Chain, leader_election::leadership::Leadership};

/// The leader has so long to answer.
const TIMEOUT: Duration = Duration::from_secs(15);

/// The largest answer, in bytes: more than 20 000 workloads.
const LONGEST: usize = 16 * 1024 * 1024;

/// So many answers are under way at once: each is in memory as a whole.
const AT_ONCE: usize = 2;

/// Why there is no answer of the leader.
pub(super) struct Unanswered(pub(super) String);

/// The replica that leads, as the Lease says.
pub(crate) struct Leader {
    client: TokenClient,
    leadership: Arc<Leadership>,
    permits: Semaphore,
}

impl Leader {
    /// Asks with this client, which has no proxy.
    pub(crate) fn new(client: TokenClient, leadership: Arc<Leadership>) -> Self {
        Self {
            client,
            leadership,
            permits: Semaphore::new(AT_ONCE),
        }
    }

    /// Asks the leader the same.
    pub(super) async fn answer(&self, head: &Parts) -> Result<(StatusCode, Bytes), Unanswered> {
        let was_handed_on = head.headers.contains_key(HANDED_ON);
        let leader = self.leadership.leader().filter(|_| !was_handed_on);
        let Some(leader) = leader else {
            return Err(Unanswered("no replica leads now".to_owned()));
        };
        let name = leader.name;
        let Some(address) = leader.addresses.overview else {
            let why = format!("{name} leads, and its address is not known: ask it directly");
            return Err(Unanswered(why));
        };
        let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
        let url = format!("http://{address}{path}");
        let request = TokenRequest::get(url, TIMEOUT)
            .header(HANDED_ON, "1")
            .longest(LONGEST);
        let _permit = self.permits.acquire().await;
        match self.client.send(request).await {
            Ok(response) => {
                let status = StatusCode::from_u16(response.status());
                let status = status.unwrap_or(StatusCode::BAD_GATEWAY);
                Ok((status, response.into_body()))
            }
            Err(error) => {
                warn!(leader = name, error = %Chain(&error), "cannot ask the leader where the workloads stand");
                Err(Unanswered(format!("{name} leads, and does not answer")))
            }
        }
    }
}
