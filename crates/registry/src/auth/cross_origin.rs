//! Repositories that a registry redirects to another registry. The credential stays with the first one, so they are read
//! with an anonymous token at most.

use http::{HeaderValue, StatusCode, Uri};

use super::{
    authorization::AuthMethod,
    challenge,
    context::Context,
    host_state::HostState,
    interface::Reply,
    known_schemes::RedirectTarget,
    scheme::{AuthScheme, Bearer, Offer},
    token::Token,
    token_source::TokenSource,
};
use crate::{
    error::{Error, repr::Repr},
    http::{Call, Request, Response},
    origin::Origin,
};

const UNAUTHORIZED: Repr = Repr::Unauthorized {
    had_credentials: false,
};

/// A token for the registry that a redirect leads to.
pub(crate) struct RedirectToken {
    origin: Origin,
    token: Token,
}

impl RedirectToken {
    /// A token for the remembered target, so that a redirect costs one more request instead of three.
    pub(crate) async fn remembered(context: Context<'_>, call: &mut Call<'_>) -> Option<Self> {
        let repository = &context.resource.full_name;
        let state = HostState::of(context.host);
        let target = state.lock().schemes.redirect(repository)?;
        let host = context
            .http
            .named(context.host, &target.origin, call.config);
        let anonymous = context.anonymous(&host);
        let source = TokenSource::new(anonymous, &target.bearer, &target.scopes);
        let Ok(token) = Box::pin(source.fetch(None, call)).await else {
            state.lock().schemes.forget_redirect(repository);
            return None;
        };
        Some(Self {
            origin: target.origin.clone(),
            token,
        })
    }

    /// The header, and the origin that it is for.
    pub(crate) fn header(&self) -> (Origin, HeaderValue) {
        (self.origin.clone(), self.token.authorization.clone())
    }
}

/// Handles the response of another registry. `sent` is the token that its request carried, if it was for that registry.
pub(crate) async fn follow(
    context: Context<'_>,
    request: &Request,
    response: Response,
    sent: Option<RedirectToken>,
    call: &mut Call<'_>,
) -> Result<Reply, Error> {
    if response.status != StatusCode::UNAUTHORIZED {
        return reply(context, request, response);
    }
    let challenges = challenge::parse(&response.headers);
    let bearer = match AuthScheme::choose(&challenges, &response.origin, &response.uri, None) {
        Offer::Scheme(AuthScheme::Bearer(bearer)) => bearer,
        Offer::Scheme(AuthScheme::Basic) => return Err(response.error(UNAUTHORIZED)),
        Offer::None(repr) | Offer::Unusable(repr) => return Err(response.error(repr)),
    };
    let scopes = scopes(context, &bearer, &response.uri);
    let origin = response.origin;
    let host = context.http.named(context.host, &origin, call.config);
    let refused_token = sent.filter(|sent| sent.origin == origin);
    let refused_token = refused_token.map(|sent| sent.token);
    if let Some(token) = &refused_token {
        context.tokens.forget(token);
    }
    let source = TokenSource::new(context.anonymous(&host), &bearer, &scopes);
    let fetched = source.fetch(refused_token.as_ref(), call).await;
    let token = fetched.map_err(|failure| failure.error)?;
    let authorized = Request {
        uri: response.uri,
        authorization: Some(token.authorization.clone()),
        account: None,
        ..request.clone()
    };
    let response = context.http.send(&host, authorized, call).await?;
    if response.status == StatusCode::UNAUTHORIZED {
        context.tokens.forget(&token);
        return Err(refused(context, &response, UNAUTHORIZED));
    }
    let target = RedirectTarget {
        origin,
        bearer,
        scopes,
    };
    let state = HostState::of(context.host);
    let repository = &context.resource.full_name;
    state.lock().schemes.put_redirect(repository, target);
    reply(context, request, response)
}

/// Exactly the scopes of the challenge: some token servers refuse a request for one scope that they do not know. Without
/// any, that of the repository under its name there.
fn scopes(context: Context<'_>, bearer: &Bearer, uri: &Uri) -> Vec<String> {
    if !bearer.scopes.is_empty() {
        return bearer.scopes.clone();
    }
    let path = uri.path().strip_prefix("/v2/");
    let name = path.and_then(|path| path.rsplit_once("/manifests/"));
    match name {
        Some((name, _)) => vec![format!("repository:{name}:pull")],
        None => vec![context.resource.scope.clone()],
    }
}

fn reply(context: Context<'_>, request: &Request, response: Response) -> Result<Reply, Error> {
    if response.status == StatusCode::FORBIDDEN {
        let had_credentials = false;
        let denied = Repr::Denied { had_credentials };
        return Err(refused(context, &response, denied));
    }
    Ok(Reply {
        response,
        auth_method: AuthMethod::Anonymous,
        identity: None,
        operation: request.operation,
    })
}

fn refused(context: Context<'_>, response: &Response, repr: Repr) -> Error {
    if context.is_manifest_refused(response) {
        return response.error(Repr::ManifestDenied(response.status));
    }
    response.error(repr)
}
