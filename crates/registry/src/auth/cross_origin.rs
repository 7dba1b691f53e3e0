//! A repository that a registry redirects to on another registry, where nobody knows us: it is read with a token for
//! everybody at the most.

use http::{HeaderValue, StatusCode, Uri};

use super::{
    challenge,
    context::Context,
    known_schemes::Onward,
    method::AuthMethod,
    reply::Reply,
    scheme::{AuthScheme, Bearer, Offered},
    state::AuthState,
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

/// A token for where a registry redirects to.
pub(crate) struct OnwardToken {
    origin: Origin,
    token: Token,
}

impl OnwardToken {
    /// A token for where the registry is known to redirect to, so that a redirect costs one request more and not three.
    pub(crate) async fn remembered(context: Context<'_>, call: &mut Call<'_>) -> Option<Self> {
        let repository = &context.resource.repository;
        let state = AuthState::of(context.host);
        let onward = state.lock().schemes.onward(repository)?;
        let host = context
            .http
            .named(context.host, &onward.origin, call.config);
        let anonymous = context.anonymous(&host);
        let source = TokenSource::new(anonymous, &onward.bearer, &onward.scopes);
        let Ok((token, _)) = Box::pin(source.fetch(None, call)).await else {
            state.lock().schemes.forget_onward(repository);
            return None;
        };
        Some(Self {
            origin: onward.origin.clone(),
            token,
        })
    }

    /// The header for that origin.
    pub(crate) fn header(&self) -> (Origin, HeaderValue) {
        (self.origin.clone(), self.token.authorization.clone())
    }
}

/// Goes on at another origin, which has answered: to `sent`, if that was for it.
pub(crate) async fn follow(
    context: Context<'_>,
    request: &Request,
    response: Response,
    sent: Option<OnwardToken>,
    call: &mut Call<'_>,
) -> Result<Reply, Error> {
    if response.status != StatusCode::UNAUTHORIZED {
        return answered(context, request, response);
    }
    let challenges = challenge::parse(&response.headers);
    let bearer = match AuthScheme::choose(&challenges, &response.origin, &response.uri, None) {
        Offered::Scheme(AuthScheme::Bearer(bearer)) => bearer,
        Offered::Scheme(AuthScheme::Basic) => return Err(response.error(UNAUTHORIZED)),
        Offered::Nothing(repr) | Offered::Unusable(repr) => return Err(response.error(repr)),
    };
    let scopes = scopes(context, &bearer, &response.uri);
    let origin = response.origin;
    let host = context.http.named(context.host, &origin, call.config);
    let stale = sent.filter(|sent| sent.origin == origin);
    let stale = stale.map(|sent| sent.token);
    let source = TokenSource::new(context.anonymous(&host), &bearer, &scopes);
    let fetched = source.fetch(stale.as_ref(), call).await;
    let (token, _) = fetched.map_err(|failure| failure.error)?;
    let again = Request {
        uri: response.uri,
        authorization: Some(token.authorization),
        account: None,
        ..request.clone()
    };
    let response = context.http.send(&host, again, call).await?;
    if response.status == StatusCode::UNAUTHORIZED {
        return Err(refused(context, &response, UNAUTHORIZED));
    }
    let onward = Onward {
        origin,
        bearer,
        scopes,
    };
    let repository = &context.resource.repository;
    let learnt = AuthState::of(context.host);
    learnt.lock().schemes.learn_onward(repository, onward);
    answered(context, request, response)
}

/// Exactly the scopes of the challenge: some token servers refuse all of them for one that they do not know. Without
/// any, that of the repository as it is called there.
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

fn answered(context: Context<'_>, request: &Request, response: Response) -> Result<Reply, Error> {
    if response.status == StatusCode::FORBIDDEN {
        let had_credentials = false;
        return Err(refused(
            context,
            &response,
            Repr::Denied { had_credentials },
        ));
    }
    Ok(Reply {
        response,
        auth_method: AuthMethod::Anonymous,
        identity: None,
        operation: request.operation,
    })
}

fn refused(context: Context<'_>, response: &Response, repr: Repr) -> Error {
    if context.concerns_the_manifest_alone(response) {
        return response.error(Repr::ManifestDenied(response.status));
    }
    response.error(repr)
}
