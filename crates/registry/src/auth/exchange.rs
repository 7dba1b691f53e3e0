//! One request with one credential: sent, challenged and sent again, as a [`Negotiation`] decides.

use std::{ops::ControlFlow, sync::Arc};

use http::StatusCode;
use tokio::sync::OwnedMutexGuard;

use super::{
    authorization::{AuthMethod, Authorization, basic},
    challenge,
    context::Context,
    cross_origin::{self, RedirectToken},
    host_state::{HostState, first_challenge},
    interface::Reply,
    outcome::{self, LastResponse},
    scheme::{AuthScheme, Offer},
    step::{Action, AuthorizationKind, Event, Failure, Negotiation},
    token::{Token, bearer},
    token_source::{TokenFailure, TokenSource},
};
use crate::{
    credential::Secret,
    error::{Error, ErrorKind, repr::Repr},
    http::{Call, Request, Response},
};

/// Sends a request, authenticated in the way that the registry wants.
pub(crate) async fn send(
    context: Context<'_>,
    request: &Request,
    call: &mut Call<'_>,
) -> Result<Reply, Error> {
    let guard = first_challenge(context.host).await;
    let guard = guard.map_err(|repr| context.error(repr))?;
    // The remembered scheme is read after the wait.
    Exchange::new(context, request).run(guard, call).await
}

struct Exchange<'a> {
    context: Context<'a>,
    request: &'a Request,
    negotiation: Negotiation,
    /// The token for the next request.
    token: Option<Token>,
    /// Why the request could not be authorized. Concluded when the registry is known to still want that.
    failure: Option<TokenFailure>,
    last_response: Option<LastResponse>,
}

impl<'a> Exchange<'a> {
    fn new(context: Context<'a>, request: &'a Request) -> Self {
        let credential = context.credential();
        let credential = credential.map(|credential| Arc::clone(&credential.secret));
        let state = HostState::of(context.host);
        let schemes = &mut state.lock().schemes;
        let remembered = schemes.get(&context.resource.full_name);
        let base_requested = schemes.is_base_without_challenge();
        Self {
            context,
            request,
            negotiation: Negotiation::new(remembered, credential, base_requested),
            token: None,
            failure: None,
            last_response: None,
        }
    }

    /// `guard` is held until other callers can read the scheme.
    ///
    /// All but the request itself is boxed: hundreds of calls wait for a permit at once, each with its future.
    async fn run(
        &mut self,
        mut guard: Option<OwnedMutexGuard<()>>,
        call: &mut Call<'_>,
    ) -> Result<Reply, Error> {
        let (context, request) = (self.context, self.request);
        let mut action = self.negotiation.step(Event::Start);
        loop {
            let event = match action {
                Action::FetchToken { scheme, renew } => {
                    Box::pin(self.fetch_token(&scheme, renew, call)).await
                }
                Action::Restart(scheme) => {
                    let state = HostState::of(context.host);
                    let repository = &context.resource.full_name;
                    state.lock().schemes.forget(repository, &scheme);
                    action = Action::Send(AuthorizationKind::None);
                    continue;
                }
                Action::Send(kind) => match self.authorize(kind).await {
                    Err(failure) => self.authorization_failed(failure),
                    Ok(authorization) => match self.send(authorization, call).await? {
                        ControlFlow::Break(reply) => return Ok(reply),
                        ControlFlow::Continue(event) => event,
                    },
                },
                Action::RequestBase => Box::pin(self.request_base(call)).await?,
                Action::Done => {
                    let Some(last) = self.last_response.take() else {
                        let failure = Failure::RepositoryRefused;
                        return Err(outcome::of_failure(context, failure, None));
                    };
                    return Box::pin(outcome::of_response(context, request, last, call)).await;
                }
                Action::Fail(failure) => return Err(Box::pin(self.fail(failure, call)).await),
            };
            let challenged = matches!(event, Event::Unauthorized { .. } | Event::BaseOffer(_));
            action = self.negotiation.step(event);
            if let Some(scheme) = self.negotiation.new_scheme.take() {
                let state = HostState::of(context.host);
                let repository = &context.resource.full_name;
                state.lock().schemes.put(repository, scheme);
            }
            if challenged && matches!(action, Action::FetchToken { .. } | Action::Send(_)) {
                // That failure was of an outdated scheme, so other callers may present the credential again.
                self.failure = None;
                drop(guard.take());
            }
        }
    }

    async fn fetch_token(
        &mut self,
        scheme: &AuthScheme,
        renew: bool,
        call: &mut Call<'_>,
    ) -> Event {
        let stale = match self.last_response.take() {
            Some((Authorization::Token(token), _)) if renew => Some(token),
            _ => None,
        };
        let AuthScheme::Bearer(bearer) = scheme else {
            return Event::TokenFetched; // Basic has none
        };
        // Some servers read the first scope only, so the needed one comes first.
        let mut scopes = vec![self.context.resource.scope.clone()];
        scopes.extend(bearer.scopes.iter().cloned());
        let source = TokenSource::new(self.context, bearer, &scopes);
        match source.fetch(stale.as_ref(), call).await {
            Ok(token) => {
                self.token = Some(token);
                Event::TokenFetched
            }
            Err(failure) => self.authorization_failed(failure),
        }
    }

    async fn authorize(&mut self, kind: AuthorizationKind) -> Result<Authorization, TokenFailure> {
        self.last_response = None; // releases its probe
        if kind == AuthorizationKind::Token {
            let token = self.token.take();
            return Ok(token.map_or(Authorization::None, Authorization::Token));
        }
        let Some(credential) = self.context.credential() else {
            return Ok(Authorization::None);
        };
        let (header, method) = match (kind, &*credential.secret) {
            (AuthorizationKind::Basic, Secret::Password { username, password }) => {
                (basic(username, password), AuthMethod::Basic)
            }
            (AuthorizationKind::Static, Secret::Bearer { token }) => {
                let header = bearer(token).ok_or_else(|| {
                    let reason = "bearer, with a token that no header can carry";
                    self.context.error(Repr::UnsuitableCredential(reason))
                })?;
                (header, AuthMethod::Bearer)
            }
            _ => return Ok(Authorization::None),
        };
        let probe = self.context.probe(credential).await?;
        Ok(Authorization::Presented {
            header,
            method,
            probe,
        })
    }

    fn authorization_failed(&mut self, failure: TokenFailure) -> Event {
        let outdated = !matches!(
            failure.error.kind(),
            ErrorKind::RateLimited | ErrorKind::CredentialQuarantined
        );
        self.failure = Some(failure);
        Event::AuthorizationFailed { outdated }
    }

    /// Sends the request. Breaks with the reply of another registry, if this one redirects there.
    async fn send(
        &mut self,
        authorization: Authorization,
        call: &mut Call<'_>,
    ) -> Result<ControlFlow<Reply, Event>, Error> {
        let context = self.context;
        let redirect = RedirectToken::remembered(context, call).await;
        let mut request = context.request(self.request, authorization.header());
        request.redirect_authorization = redirect.as_ref().map(RedirectToken::header);
        let response = match context.http.send(context.host, request, call).await {
            Ok(response) => response,
            // The reason for a restart is more informative.
            Err(error) => {
                let failure = self.failure.take();
                return Err(failure.map_or(error, |failure| failure.error));
            }
        };
        if response.origin != context.host.origin {
            // A registry that redirects has accepted the request.
            context.grant(authorization);
            let followed = cross_origin::follow(context, self.request, response, redirect, call);
            return Box::pin(followed).await.map(ControlFlow::Break);
        }
        let event = match response.status {
            StatusCode::UNAUTHORIZED => {
                if let Authorization::Token(token) = &authorization {
                    context.tokens.forget(token);
                }
                Event::Unauthorized {
                    replaceable: authorization.is_shared_token(),
                    offer: self.offer(&response),
                }
            }
            status => Event::Response(status),
        };
        self.last_response = Some((authorization, response));
        Ok(ControlFlow::Continue(event))
    }

    /// Requests the registry's base for the challenge that it does not send for manifests.
    async fn request_base(&self, call: &mut Call<'_>) -> Result<Event, Error> {
        let context = self.context;
        let request = context.base_request(self.request, None);
        let response = context.http.send(context.host, request, call).await?;
        let offer = self.offer(&response);
        if response.origin != context.host.origin || !matches!(offer, Offer::Scheme(_)) {
            let state = HostState::of(context.host);
            state.lock().schemes.put_base_without_challenge();
        }
        Ok(Event::BaseOffer(offer))
    }

    async fn fail(&mut self, failure: Failure, call: &mut Call<'_>) -> Error {
        let last_response = self.last_response.take();
        if let Failure::AuthorizationFailed = failure
            && let Some(failure) = self.failure.take()
        {
            return failure.conclude(self.context, call).await;
        }
        outcome::of_failure(self.context, failure, last_response)
    }

    fn offer(&self, response: &Response) -> Offer {
        let challenges = challenge::parse(&response.headers);
        let (registry, scope) = (&self.context.host.origin, &self.context.resource.scope);
        AuthScheme::choose(&challenges, registry, &response.uri, Some(scope))
    }
}
