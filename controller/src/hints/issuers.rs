//! The keys of issuers of CI jobs' tokens, which are fetched when a token needs them.

use std::time::Duration;

use kube_autorollout_hints::oidc::{Check, Fetch, TokenError, Verifier};
use kube_autorollout_registry::{TokenClient, TokenRequest, TokenResponse};
use parking_lot::Mutex;
use tokio::time::{Instant, sleep};
use tracing::{info, warn};

use super::receivers::Hook;
use crate::{clock, error_chain::Chain};

/// An issuer has so long for one document.
const TIMEOUT: Duration = Duration::from_secs(5);

/// While another request fetches the keys, they are looked up so often.
const POLL: Duration = Duration::from_millis(50);

/// For so long; the other one fetches two documents.
const PATIENCE: Duration = Duration::from_secs(11);

/// Fetches the keys of issuers.
pub(crate) struct Issuers(TokenClient);

/// What is known of a token.
pub(super) enum Verdict {
    Accepted,
    Refused(TokenError),
    /// It cannot be checked now.
    Unavailable,
}

impl Issuers {
    /// Fetches with this client.
    pub(crate) fn new(client: TokenClient) -> Self {
        Self(client)
    }

    /// Checks a token, with keys that are fetched if it takes them.
    pub(super) async fn verify(&self, hook: &Hook, token: &str) -> Verdict {
        let Some(verifier) = &hook.verifier else {
            return Verdict::Unavailable; // a receiver without an issuer accepts no token
        };
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            let now = Instant::now().into_std();
            let checked = verifier.lock().check(token, now, clock::now());
            match checked {
                Ok(Check::Accepted(identity)) => {
                    info!(
                        receiver = hook.name(),
                        subject = identity.subject,
                        "a token is accepted"
                    );
                    return Verdict::Accepted;
                }
                Ok(Check::Fetch(fetch)) => self.fetch(hook, verifier, fetch).await,
                Ok(Check::Wait) => sleep(POLL).await,
                Err(error) if error.is_temporary() => return Verdict::Unavailable,
                Err(error) => return Verdict::Refused(error),
            }
        }
        Verdict::Unavailable
    }

    /// Fetches one document after the other until the keys are there, or one cannot be fetched.
    async fn fetch(&self, hook: &Hook, verifier: &Mutex<Verifier>, first: Fetch) {
        let mut next = Some(first);
        while let Some(fetch) = next {
            let url = fetch.url();
            let answered = self.0.send(TokenRequest::get(url, TIMEOUT)).await;
            let document = answered.as_ref().ok().filter(|it| it.status() == 200);
            let body = document.map(TokenResponse::body);
            let now = Instant::now().into_std();
            let fetched = verifier.lock().fetched(&fetch, body, now);
            next = fetched.unwrap_or_else(|error| {
                let why = match &answered {
                    Ok(_) if document.is_some() => error.to_string(),
                    Ok(response) => format!("status {}", response.status()),
                    Err(error) => Chain(error).to_string(),
                };
                warn!(
                    receiver = hook.name(),
                    url,
                    error = why,
                    "no keys of the issuer"
                );
                None
            });
        }
    }
}
