//! One conversation with a registry: asks for a resource with one credential, as [`step`](super::step) says.

use std::sync::Arc;

use http::StatusCode;
use tokio::sync::OwnedMutexGuard;

use super::{
    authorization::Authorization,
    challenge, conclusion,
    context::Context,
    cross_origin::{self, OnwardToken},
    header::{basic, bearer},
    reply::Reply,
    scheme::{AuthScheme, Offered},
    state::{AuthState, first_challenge},
    step::{Action, Event, Failure, Means, Negotiation},
    token::Token,
    token_source::{TokenFailure, TokenSource},
};
use crate::{
    credential::Secret,
    error::{Error, ErrorKind, repr::Repr},
    http::{Call, Request, Response},
};

/// One conversation.
pub(crate) struct Conversation<'a> {
    context: Context<'a>,
    request: &'a Request,
    negotiation: Negotiation,
    token: Option<(Token, bool)>,
    /// A token that the registry has refused.
    stale: Option<Token>,
    /// Why nothing could be presented, until it is known whether the registry still wants that.
    failure: Option<TokenFailure>,
    /// The last response, and what the request carried.
    heard: Option<(Authorization, Response)>,
}

impl<'a> Conversation<'a> {
    fn new(context: Context<'a>, request: &'a Request) -> Self {
        let credential = context.credential.map(|one| Arc::clone(&one.secret));
        let state = AuthState::of(context.host);
        let schemes = &mut state.lock().schemes;
        let remembered = schemes.get(&context.resource.repository);
        let base_asked = schemes.is_base_without_challenge();
        Self {
            context,
            request,
            negotiation: Negotiation::new(remembered, credential, base_asked),
            token: None,
            stale: None,
            failure: None,
            heard: None,
        }
    }

    /// Asks, and authenticates in the way that the registry wants.
    pub(crate) async fn hold(
        context: Context<'a>,
        request: &'a Request,
        call: &mut Call<'_>,
    ) -> Result<Reply, Error> {
        let first = first_challenge(context.host).await;
        let ahead = first.map_err(|repr| context.error(repr))?;
        // What is remembered is read when it is our turn.
        Self::new(context, request).run(ahead, call).await
    }

    /// `ahead` is held until the others know how to authenticate.
    ///
    /// All but the request itself is in boxes: hundreds of calls wait for a permit at once, each with its future.
    async fn run(
        &mut self,
        mut ahead: Option<OwnedMutexGuard<()>>,
        call: &mut Call<'_>,
    ) -> Result<Reply, Error> {
        let mut action = self.negotiation.step(Event::Begin);
        loop {
            let event = match action {
                Action::FetchToken { scheme, renew } => {
                    Box::pin(self.fetch_token(&scheme, renew, call)).await
                }
                Action::Restart(scheme) => {
                    let state = AuthState::of(self.context.host);
                    let repository = &self.context.resource.repository;
                    state.lock().schemes.forget(repository, &scheme);
                    action = Action::Send(Means::Nothing);
                    continue;
                }
                Action::Send(means) => match self.authorize(means).await {
                    Err(failure) => self.not_authorized(failure),
                    Ok(authorization) => match self.send(authorization, call).await? {
                        Sent::Elsewhere(reply) => return Ok(reply),
                        Sent::Here(event) => event,
                    },
                },
                Action::AskBase => Box::pin(self.ask_base(call)).await?,
                Action::Done => {
                    return match self.heard.take() {
                        Some(heard) => {
                            Box::pin(conclusion::of(self.context, self.request, heard, call)).await
                        }
                        None => Err(self.context.refuse_repository(None)),
                    };
                }
                Action::Fail(failure) => return Err(Box::pin(self.fail(failure, call)).await),
            };
            let refused = matches!(event, Event::Refused { .. } | Event::Base(_));
            action = self.negotiation.step(event);
            self.learn();
            if refused && matches!(action, Action::FetchToken { .. } | Action::Send(_)) {
                // It was a matter of another scheme, and others may present the credential again.
                self.failure = None;
                // The others know the scheme now.
                drop(ahead.take());
            }
        }
    }

    fn learn(&mut self) {
        if let Some(scheme) = self.negotiation.take_news() {
            let state = AuthState::of(self.context.host);
            let repository = &self.context.resource.repository;
            state.lock().schemes.learn(repository, &scheme);
        }
    }

    async fn fetch_token(
        &mut self,
        scheme: &AuthScheme,
        renew: bool,
        call: &mut Call<'_>,
    ) -> Event {
        if let (true, Some((Authorization::Token { token, .. }, _))) = (renew, self.heard.take()) {
            self.stale = Some(token);
        }
        let AuthScheme::Bearer(bearer) = scheme else {
            return Event::TokenFetched; // of Basic there is none
        };
        // Some servers read the first scope only, so the needed one leads.
        let mut scopes = vec![self.context.resource.scope.clone()];
        scopes.extend(bearer.scopes.iter().cloned());
        let stale = self.stale.take();
        let source = TokenSource::new(self.context, bearer, &scopes);
        match source.fetch(stale.as_ref(), call).await {
            Ok(token) => {
                self.token = Some(token);
                Event::TokenFetched
            }
            Err(failure) => self.not_authorized(failure),
        }
    }

    /// What the request carries.
    async fn authorize(&mut self, means: Means) -> Result<Authorization, TokenFailure> {
        self.heard = None; // with the right to present the credential
        let credential = self.context.credential;
        let secret = credential.map(|one| (one, &*one.secret));
        match (means, secret) {
            (Means::Token, _) => Ok(match self.token.take() {
                Some((token, kept)) => Authorization::Token { token, kept },
                None => Authorization::None,
            }),
            (Means::Basic, Some((one, Secret::Password { username, password }))) => {
                let probe = self.context.admit(one.content()).await?;
                Ok(Authorization::Basic(basic(username, password), probe))
            }
            (Means::Static, Some((one, Secret::Bearer { token }))) => {
                let header = bearer(token).ok_or_else(|| {
                    let schemes = "bearer, with a token that no header can carry".to_owned();
                    self.context.error(Repr::UnsupportedChallenge { schemes })
                })?;
                let probe = self.context.admit(one.content()).await?;
                Ok(Authorization::Static(header, probe))
            }
            _ => Ok(Authorization::None),
        }
    }

    fn not_authorized(&mut self, failure: TokenFailure) -> Event {
        let outdated = !matches!(
            failure.error.kind(),
            ErrorKind::RateLimited | ErrorKind::CredentialQuarantined
        );
        self.failure = Some(failure);
        Event::NotAuthorized { outdated }
    }

    async fn send(
        &mut self,
        authorization: Authorization,
        call: &mut Call<'_>,
    ) -> Result<Sent, Error> {
        let context = self.context;
        let onward = OnwardToken::remembered(context, call).await;
        let mut request = self.context.request(self.request, authorization.header());
        request.onward = onward.as_ref().map(OnwardToken::header);
        let response = match context.http.send(context.host, request, call).await {
            Ok(response) => response,
            // Why the registry was asked afresh says more.
            Err(error) => return Err(self.failure.take().map_or(error, |one| one.error)),
        };
        if response.origin != context.host.origin {
            // A registry that redirects has accepted the request.
            context.let_in(authorization);
            let followed = cross_origin::follow(context, self.request, response, onward, call);
            return Box::pin(followed).await.map(Sent::Elsewhere);
        }
        let event = match response.status {
            StatusCode::UNAUTHORIZED => Event::Refused {
                replaceable: authorization.is_replaceable(),
                offered: self.offered(&response),
            },
            status => Event::Answered(status),
        };
        self.heard = Some((authorization, response));
        Ok(Sent::Here(event))
    }

    /// Asks the registry's base for the challenge that it does not put to requests for manifests.
    async fn ask_base(&self, call: &mut Call<'_>) -> Result<Event, Error> {
        let context = self.context;
        let response = context
            .http
            .send(context.host, context.base_request(self.request, None), call)
            .await?;
        let offered = self.offered(&response);
        if response.origin != context.host.origin || !matches!(offered, Offered::Scheme(_)) {
            let state = AuthState::of(context.host);
            state.lock().schemes.learn_base_without_challenge();
        }
        Ok(Event::Base(offered))
    }

    /// What becomes of a request that there is no way in for.
    async fn fail(&mut self, failure: Failure, call: &mut Call<'_>) -> Error {
        let heard = self.heard.take();
        if let Failure::NotAuthorized = failure
            && let Some(failure) = self.failure.take()
        {
            return failure.settle(self.context, call).await;
        }
        let Some((authorization, response)) = heard else {
            return match failure {
                Failure::Unsupported(repr) => self.context.error(repr),
                _ => self.context.refuse_repository(None),
            };
        };
        if let Failure::Unsupported(repr) = failure {
            return response.error(repr);
        }
        if self.context.concerns_the_manifest_alone(&response) {
            return response.error(Repr::ManifestDenied(response.status));
        }
        match (failure, authorization.into_probe()) {
            (Failure::Credential, Some(probe)) => {
                probe.refuse();
                self.context.unauthorized(Some(&response))
            }
            (Failure::Unauthorized, _) => self.context.unauthorized(Some(&response)),
            _ => self.context.refuse_repository(Some(&response)),
        }
    }

    fn offered(&self, response: &Response) -> Offered {
        let challenges = challenge::parse(&response.headers);
        let needed = Some(&*self.context.resource.scope);
        AuthScheme::choose(
            &challenges,
            &self.context.host.origin,
            &response.uri,
            needed,
        )
    }
}

/// What became of a request.
enum Sent {
    /// The registry has answered.
    Here(Event),
    /// Another registry has.
    Elsewhere(Reply),
}
