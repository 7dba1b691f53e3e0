//! Tries the credentials of a chain in order.

use std::{collections::BTreeMap, sync::Arc};

use http::StatusCode;

use super::{
    authorization::AuthMethod,
    context::{Context, Login},
    exchange,
    host_state::HostState,
    interface::{HeadFallback, Reply, Resource, Subject},
    quarantine::Quarantine,
    token_cache::TokenCache,
};
use crate::{
    credential::{CredentialChain, CredentialProvider, IssueRequest, IssuedCredential},
    error::{Error, ErrorKind, repr::Repr},
    http::{Call, HostClient, HttpClient, Request},
};

/// Credentials that are presented for one resource; more would resemble a brute-force attack.
const MAX_CREDENTIALS: usize = 5;

/// Sends requests with credentials.
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
            tokens: TokenCache::new(),
            quarantine: Quarantine::new(),
            client_id,
        }
    }

    /// The number of quarantined credentials, by registry.
    pub(crate) fn quarantined(&self) -> BTreeMap<String, usize> {
        self.quarantine.counts()
    }

    /// Tries each credential until one gets the resource. If none does, a 404 takes precedence over refusals.
    pub(crate) async fn send(
        &self,
        host: &Arc<HostClient>,
        resource: &Resource,
        fallback: &dyn HeadFallback,
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
            login: None,
        };
        if credentials.is_empty() {
            return exchange::send(context, request, call).await;
        }
        let mut not_found: Option<Reply> = None;
        let mut refusals: Vec<Error> = Vec::new();
        let mut presented = 0;
        for provider in in_order(context, credentials) {
            if presented == MAX_CREDENTIALS {
                break;
            }
            match Box::pin(send_as(context, provider, request, call)).await {
                Ok(reply) if reply.response.status == StatusCode::NOT_FOUND => {
                    let is_final =
                        reply.auth_method == AuthMethod::Anonymous || has_access(context, provider);
                    not_found = Some(reply);
                    if is_final {
                        break;
                    }
                }
                Ok(reply) => {
                    if reply.response.has_content() {
                        let state = HostState::of(host);
                        let mut state = state.lock();
                        state.prefer(&resource.full_name, credentials, provider.fingerprint());
                    }
                    return Ok(reply);
                }
                Err(error) if is_refusal(&error) || !was_presented(&error) => {
                    presented += usize::from(was_presented(&error));
                    refusals.push(error);
                    continue;
                }
                Err(error) => return Err(error),
            }
            presented += 1;
        }
        not_found.ok_or_else(|| merged(host, refusals))
    }
}

/// Sends the request with the provider's credential. If that expires and is refused, retries once with a new one.
async fn send_as<'a>(
    context: Context<'a>,
    provider: &'a dyn CredentialProvider,
    request: &Request,
    call: &mut Call<'_>,
) -> Result<Reply, Error> {
    let registry = context.host.origin.to_string();
    let wanted = IssueRequest::new(&registry, &context.resource.repository);
    let provider_error = |error| context.error(Repr::Provider(error));
    let issued = provider.issue(wanted).await.map_err(provider_error)?;
    let refusal = match send_issued(context, provider, &issued, request, call).await {
        Err(error) if issued.expires_in().is_some() && is_refusal(&error) => error,
        result => return result,
    };
    let wanted = IssueRequest {
        refused: Some(issued.credential()),
        ..wanted
    };
    let renewed = provider.issue(wanted).await.map_err(provider_error)?;
    let result = if renewed.credential() == issued.credential() {
        Err(refusal) // it was renewed a short while ago
    } else {
        send_issued(context, provider, &renewed, request, call).await
    };
    result.map_err(|error| {
        if is_refusal(&error) {
            error.with_identity(renewed.identity, provider.refusal_advice())
        } else {
            error
        }
    })
}

async fn send_issued(
    context: Context<'_>,
    provider: &dyn CredentialProvider,
    issued: &IssuedCredential,
    request: &Request,
    call: &mut Call<'_>,
) -> Result<Reply, Error> {
    let context = Context {
        login: Some(Login { provider, issued }),
        ..context
    };
    context.check_quarantine()?;
    let mut reply = exchange::send(context, request, call).await?;
    if reply.auth_method != AuthMethod::Anonymous {
        reply.identity.clone_from(&issued.identity);
    }
    Ok(reply)
}

/// The providers in order; first the one whose credential the repository accepted.
fn in_order<'c>(
    context: Context<'_>,
    credentials: &'c CredentialChain,
) -> impl Iterator<Item = &'c dyn CredentialProvider> + use<'c> {
    let (repository, chain) = (&context.resource.full_name, credentials.fingerprint());
    let state = HostState::of(context.host);
    let preferred = state.lock().preferred(repository, chain);
    let is_preferred =
        move |provider: &&'c dyn CredentialProvider| Some(provider.fingerprint()) == preferred;
    let first = credentials.iter().filter(is_preferred);
    first.chain(
        credentials
            .iter()
            .filter(move |provider| !is_preferred(provider)),
    )
}

/// Whether the provider's credential has access to the repository, so that a manifest is missing for all.
fn has_access(context: Context<'_>, provider: &dyn CredentialProvider) -> bool {
    let state = HostState::of(context.host);
    let (repository, credential) = (&context.resource.full_name, Some(provider.fingerprint()));
    context.resource.subject == Subject::Manifest
        && state.lock().has_access(repository, credential, false)
}

/// One error for several refusals: the last response of the registry, rather than of a quarantined credential, and that
/// rather than of one that does not suit the registry.
fn merged(host: &HostClient, mut refusals: Vec<Error>) -> Error {
    let is_quarantined = |error: &Error| error.kind() == ErrorKind::CredentialQuarantined;
    let is_response = |error: &Error| !is_quarantined(error) && !is_unsuitable(error);
    let decisive = refusals.iter().rposition(is_response);
    let decisive = decisive.or_else(|| refusals.iter().position(is_quarantined));
    let decisive = decisive.unwrap_or(0);
    if decisive >= refusals.len() {
        return host.error(Repr::Unauthorized {
            had_credentials: true,
        });
    }
    let error = refusals.remove(decisive);
    error.with_refusals(refusals)
}

/// Whether the registry or its token server refused the credential, so that the next one may be accepted. The refusal of
/// one manifest to a caller with access to the tag is final.
fn is_refusal(error: &Error) -> bool {
    let refused = matches!(error.kind(), ErrorKind::Unauthorized | ErrorKind::Denied);
    refused && !error.is_manifest_denied()
}

/// Whether the credential was presented to the registry.
fn was_presented(error: &Error) -> bool {
    let not_at_all = matches!(
        error.kind(),
        ErrorKind::CredentialQuarantined | ErrorKind::CloudIdentity
    );
    !not_at_all && !is_unsuitable(error)
}

/// Whether the credential has a form that the registry does not accept: an identity token where it wants passwords.
fn is_unsuitable(error: &Error) -> bool {
    matches!(error.repr(), Repr::UnsuitableCredential(_))
}
