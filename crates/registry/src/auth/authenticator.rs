//! The credentials with which one resource is asked for in turn.

use std::{collections::BTreeMap, sync::Arc};

use http::StatusCode;

use super::{
    context::Context,
    conversation::Conversation,
    head_fallback::HeadFallback,
    method::AuthMethod,
    quarantine::Quarantine,
    reply::Reply,
    resource::{Resource, Subject},
    state::AuthState,
    token::{self, TokenCache},
};
use crate::{
    credential::{Credential, CredentialChain},
    error::{Error, ErrorKind, repr::Repr},
    http::{Call, HostClient, HttpClient, Request},
};

/// Credentials that are presented for one resource; more would resemble a guessing attack.
const MAX_CREDENTIALS: usize = 5;

/// Asks with credentials: what it has learnt of them and of registries, it uses for all requests.
pub(crate) struct Authenticator {
    pub(crate) http: HttpClient,
    tokens: TokenCache,
    quarantine: Quarantine,
    client_id: String,
}

impl Authenticator {
    pub(crate) fn new(http: HttpClient, client_id: String) -> Self {
        Self {
            http,
            tokens: token::cache(),
            quarantine: Quarantine::new(),
            client_id,
        }
    }

    /// The credentials now refused as such, counted for each registry.
    pub(crate) fn quarantined(&self) -> BTreeMap<String, usize> {
        self.quarantine.refused()
    }

    /// Asks with each credential until one is let in and finds what is asked for. Where none is, not to find it says more
    /// than a refusal.
    pub(crate) async fn send(
        &self,
        host: &Arc<HostClient>,
        (resource, fallback): (&Resource, &dyn HeadFallback),
        request: &Request,
        credentials: &CredentialChain,
        call: &mut Call<'_>,
    ) -> Result<Reply, Error> {
        let context = Context {
            http: &self.http,
            tokens: &self.tokens,
            quarantine: &self.quarantine,
            client_id: &self.client_id,
            host,
            resource,
            fallback,
            credential: None,
        };
        if credentials.is_empty() {
            return send_as(context, request, call).await;
        }
        let mut missing: Option<Reply> = None;
        let mut refusals: Vec<Error> = Vec::new();
        let mut presented = 0;
        for credential in in_order(context, credentials) {
            if presented == MAX_CREDENTIALS {
                break;
            }
            let context = Context {
                credential: Some(credential),
                ..context
            };
            match send_as(context, request, call).await {
                Ok(reply) if reply.response.status == StatusCode::NOT_FOUND => {
                    let same_for_all =
                        reply.auth_method == AuthMethod::Anonymous || is_let_in(context);
                    missing = Some(reply);
                    if same_for_all {
                        break;
                    }
                }
                Ok(reply) => {
                    if reply.response.is_found() {
                        let state = AuthState::of(host);
                        let mut state = state.lock();
                        state.prefer(&resource.repository, credentials, credential);
                    }
                    return Ok(reply);
                }
                Err(error) if is_refusal(&error) => {
                    // One that is not presented costs nothing.
                    let cost = error.kind() != ErrorKind::CredentialQuarantined;
                    presented += usize::from(cost);
                    refusals.push(error);
                    continue;
                }
                Err(error) => return Err(error),
            }
            presented += 1;
        }
        missing.ok_or_else(|| refusal(host, refusals))
    }
}

async fn send_as(
    context: Context<'_>,
    request: &Request,
    call: &mut Call<'_>,
) -> Result<Reply, Error> {
    let key = context.key();
    let allowed = key.map_or(Ok(()), |key| context.quarantine.check(&key));
    allowed.map_err(|repr| context.error(repr))?;
    Conversation::hold(context, request, call).await
}

/// The credentials in the order in which they are tried: first the one that the repository has let in.
fn in_order<'c>(
    context: Context<'_>,
    credentials: &'c CredentialChain,
) -> impl Iterator<Item = &'c Credential> + use<'c> {
    let (repository, chain) = (&context.resource.repository, credentials.fingerprint());
    let state = AuthState::of(context.host);
    let preferred = state.lock().preferred(repository, chain);
    let is_preferred = move |one: &&Credential| Some(one.fingerprint()) == preferred;
    let first = credentials.iter().filter(is_preferred);
    first.chain(credentials.iter().filter(move |one| !is_preferred(one)))
}

/// Whether a manifest is missing for a caller that finds the tag of the same repository.
fn is_let_in(context: Context<'_>) -> bool {
    let state = AuthState::of(context.host);
    let (repository, credential) = (&context.resource.repository, context.fingerprint());
    context.resource.subject == Subject::Manifest
        && state.lock().is_let_in(repository, credential, false)
}

/// One error of several refusals: a response of the registry says more than a credential that was held back, and the last one most.
fn refusal(host: &HostClient, mut refusals: Vec<Error>) -> Error {
    let own = |error: &Error| error.kind() != ErrorKind::CredentialQuarantined;
    let telling = refusals.iter().rposition(own).unwrap_or(0);
    if telling >= refusals.len() {
        return host.error(Repr::Unauthorized {
            had_credentials: true,
        });
    }
    let error = refusals.remove(telling);
    error.with_refusals(refusals)
}

/// Whether the next credential may do better. A caller that is let in to the tag is not refused because of one manifest.
fn is_refusal(error: &Error) -> bool {
    !error.is_manifest_denied()
        && matches!(
            error.kind(),
            ErrorKind::Unauthorized | ErrorKind::Denied | ErrorKind::CredentialQuarantined
        )
}
