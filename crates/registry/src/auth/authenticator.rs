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
    credential::{Asked, CredentialChain, CredentialProvider, Issued},
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
            provider: None,
            is_issued: false,
        };
        if credentials.is_empty() {
            return send_as(context, request, call).await;
        }
        let mut missing: Option<Reply> = None;
        let mut refusals: Vec<Error> = Vec::new();
        let mut presented = 0;
        for provider in in_order(context, credentials) {
            if presented == MAX_CREDENTIALS {
                break;
            }
            let context = Context {
                provider: Some(provider),
                ..context
            };
            match Box::pin(send_of(context, provider, request, call)).await {
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
                        state.prefer(&resource.repository, credentials, provider.fingerprint());
                    }
                    return Ok(reply);
                }
                Err(error) if is_refusal(&error) => {
                    // One that is not presented costs nothing.
                    let cost = is_of_the_registry(&error);
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

/// Asks with what a provider issues, and once more with what it issues in its place when that is refused.
async fn send_of<'a>(
    context: Context<'a>,
    provider: &'a dyn CredentialProvider,
    request: &Request,
    call: &mut Call<'_>,
) -> Result<Reply, Error> {
    let registry = context.host.origin.to_string();
    let asked = Asked::new(&registry, &context.resource.repository);
    let issued = issue(context, provider, asked).await?;
    let sent = send_issued(context, &issued, request, call).await;
    let refused = match sent {
        Err(error) if issued.expires_in().is_some() && is_own_refusal(&error) => error,
        sent => return sent,
    };
    let asked = Asked {
        refused: Some(issued.credential()),
        ..asked
    };
    let renewed = issue(context, provider, asked).await?;
    let sent = if renewed.credential() == issued.credential() {
        Err(refused) // it was issued anew for this a short while ago
    } else {
        send_issued(context, &renewed, request, call).await
    };
    sent.map_err(|error| {
        if is_own_refusal(&error) {
            error.of_identity(renewed.identity, provider.refusal_advice())
        } else {
            error
        }
    })
}

async fn issue(
    context: Context<'_>,
    provider: &dyn CredentialProvider,
    asked: Asked<'_>,
) -> Result<Issued, Error> {
    let issued = provider.issue(asked).await;
    issued.map_err(|error| context.error(Repr::Provider(error)))
}

async fn send_issued(
    context: Context<'_>,
    issued: &Issued,
    request: &Request,
    call: &mut Call<'_>,
) -> Result<Reply, Error> {
    let context = Context {
        credential: Some(issued.credential()),
        is_issued: issued.expires_in().is_some(),
        ..context
    };
    let mut reply = send_as(context, request, call).await?;
    if reply.auth_method != AuthMethod::Anonymous {
        reply.identity.clone_from(&issued.identity);
    }
    Ok(reply)
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

/// The providers in the order in which they are tried: first the one whose credential the repository has let in.
fn in_order<'c>(
    context: Context<'_>,
    credentials: &'c CredentialChain,
) -> impl Iterator<Item = &'c dyn CredentialProvider> + use<'c> {
    let (repository, chain) = (&context.resource.repository, credentials.fingerprint());
    let state = AuthState::of(context.host);
    let preferred = state.lock().preferred(repository, chain);
    let is_preferred = move |one: &&'c dyn CredentialProvider| Some(one.fingerprint()) == preferred;
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
    let decisive = refusals.iter().rposition(own).unwrap_or(0);
    if decisive >= refusals.len() {
        return host.error(Repr::Unauthorized {
            had_credentials: true,
        });
    }
    let error = refusals.remove(decisive);
    error.with_refusals(refusals)
}

/// Whether the next credential may do better. A caller that is let in to the tag is not refused because of one manifest.
fn is_refusal(error: &Error) -> bool {
    is_own_refusal(error)
        || matches!(
            error.kind(),
            ErrorKind::CredentialQuarantined | ErrorKind::CloudIdentity
        )
}

/// Whether the registry or its token server refuses the credential, to judge by this response.
fn is_own_refusal(error: &Error) -> bool {
    let refused = matches!(error.kind(), ErrorKind::Unauthorized | ErrorKind::Denied);
    refused && !error.is_manifest_denied()
}

/// Whether the registry was asked.
fn is_of_the_registry(error: &Error) -> bool {
    !matches!(
        error.kind(),
        ErrorKind::CredentialQuarantined | ErrorKind::CloudIdentity
    )
}
