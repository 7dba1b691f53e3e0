//! Verifies the tokens of CI jobs, with the keys of their issuers.

use std::{sync::Arc, time::Duration};

use kube_autorollout_hints::oidc::{Check, Fetch, TokenError};
use kube_autorollout_registry::{ExternalClient, ExternalRequest, ExternalResponse};
use parking_lot::Mutex;
use tokio::{
    task::JoinSet,
    time::{Instant, sleep},
};
use tracing::{info, warn};

use super::receivers::ReceiverState;
use crate::{clock, error_chain::Chain};

/// Timeout of a request to an issuer.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Interval of lookups while the keys are fetched.
const POLL: Duration = Duration::from_millis(50);

/// No step of a verification starts later than this: fetching the keys takes two requests.
const DEADLINE: Duration = Duration::from_secs(11);

/// Fetches the keys of issuers and verifies tokens.
pub(crate) struct Issuers {
    client: ExternalClient,
    /// The fetches in flight, at most one for each receiver. They end with the listener, not with the request that needs the keys:
    /// its sender may close the connection, and others wait for the result.
    fetches: Mutex<JoinSet<()>>,
}

/// The result of a token's verification.
pub(super) enum TokenVerdict {
    Accepted,
    Refused(TokenError),
    /// The keys of the issuer are not available.
    Unavailable,
}

impl Issuers {
    /// Fetches keys with this client.
    pub(crate) fn new(client: ExternalClient) -> Self {
        Self {
            client,
            fetches: Mutex::default(),
        }
    }

    /// Verifies a token. Waits until the keys have been fetched, if necessary.
    pub(super) async fn verify(&self, hook: &Arc<ReceiverState>, token: &str) -> TokenVerdict {
        let Some(verifier) = &hook.verifier else {
            return TokenVerdict::Unavailable; // a receiver without an issuer accepts no token
        };
        let begun = Instant::now();
        while begun.elapsed() < DEADLINE {
            let now = Instant::now().into_std();
            let checked = verifier.lock().check(token, now, clock::now());
            match checked {
                Ok(Check::Accepted(identity)) => {
                    info!(
                        receiver = hook.name(),
                        subject = identity.subject,
                        "token accepted"
                    );
                    return TokenVerdict::Accepted;
                }
                Ok(Check::Fetch(fetch)) => self.fetch(Arc::clone(hook), fetch),
                Ok(Check::Wait) => sleep(POLL).await,
                Err(error) if error.is_temporary() => return TokenVerdict::Unavailable,
                Err(error) => return TokenVerdict::Refused(error),
            }
        }
        TokenVerdict::Unavailable
    }

    /// Starts to fetch the issuer's keys.
    fn fetch(&self, hook: Arc<ReceiverState>, first: Fetch) {
        let client = self.client.clone();
        let mut fetches = self.fetches.lock();
        while fetches.try_join_next().is_some() {} // those that have ended
        fetches.spawn(async move { fetch_keys(&client, &hook, first).await });
    }
}

/// Fetches the issuer's documents up to its keys, or until a request fails.
async fn fetch_keys(client: &ExternalClient, hook: &ReceiverState, first: Fetch) {
    let Some(verifier) = &hook.verifier else {
        return;
    };
    let mut next = Some(first);
    while let Some(fetch) = next {
        let url = fetch.url();
        let response = client.send(ExternalRequest::get(url, TIMEOUT)).await;
        let document = response.as_ref().ok();
        let document = document.filter(|response| response.status() == 200);
        let body = document.map(ExternalResponse::body);
        let now = Instant::now().into_std();
        let fetched = verifier.lock().fetched(&fetch, body, now);
        next = fetched.unwrap_or_else(|error| {
            let error = match &response {
                Ok(_) if document.is_some() => error.to_string(),
                Ok(response) => format!("status {}", response.status()),
                Err(error) => Chain(error).to_string(),
            };
            let receiver = hook.name();
            warn!(receiver, url, error, "cannot fetch the issuer's keys");
            None
        });
    }
}

#[cfg(test)]
mod tests;
