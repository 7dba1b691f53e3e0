//! What the last response of a conversation means: for the caller, and for what is remembered of the credential.

use http::StatusCode;

use super::{
    authorization::Authorization,
    context::Context,
    method::AuthMethod,
    quarantine::Probe,
    reply::Reply,
    verdict::{self, BaseVerdict, Facts, Verdict},
};
use crate::{
    error::{Error, repr::Repr},
    http::{Call, Request, Response},
    observer::Operation,
};

/// What a response other than 401 means.
pub(crate) async fn of(
    context: Context<'_>,
    request: &Request,
    (authorization, response): (Authorization, Response),
    call: &mut Call<'_>,
) -> Result<Reply, Error> {
    let sent = authorization.header();
    let (response, operation) = after_head(context, request, &authorization, response, call).await;
    let had_credentials =
        context.credential.is_some() && !matches!(authorization, Authorization::None);
    let probe = authorization.probe();
    let forbidden = response.status == StatusCode::FORBIDDEN;
    let verdict = verdict::of(Facts {
        status: response.status,
        authenticated: had_credentials,
        presented: probe.is_some(),
        is_good: probe.is_some_and(Probe::is_good),
        of_manifest: forbidden && context.concerns_the_manifest_alone(&response),
        is_artifactory: response.is_artifactory(),
    });
    let auth_method = match context.credential {
        Some(_) => authorization.method(),
        None => AuthMethod::Anonymous,
    };
    let denied = || response.error(Repr::Denied { had_credentials });
    match verdict {
        Verdict::LetIn => context.let_in(authorization),
        Verdict::Good => authorization.accept(),
        Verdict::Nothing => {}
        Verdict::ManifestDenied => {
            return Err(response.error(Repr::ManifestDenied(response.status)));
        }
        Verdict::DeniedToAnybody => return Err(denied()),
        Verdict::RepositoryDenied => {
            authorization.accept();
            context.refuse_repository(None);
            return Err(denied());
        }
        Verdict::AskBase => {
            let base = context.base_request(request, sent);
            let base = context.http.send(context.host, base, call).await;
            let verdict = verdict::of_base(base.map(|base| base.status).ok());
            if let Some(probe) = authorization.into_probe() {
                match verdict {
                    BaseVerdict::Good => probe.accept(),
                    BaseVerdict::Refused => probe.refuse(),
                    BaseVerdict::Suspended => probe.suspend(),
                }
            }
            if verdict == BaseVerdict::Good {
                context.refuse_repository(None);
            }
            return Err(denied());
        }
    }
    Ok(Reply {
        response,
        auth_method,
        identity: None,
        operation,
    })
}

/// Asks by GET after a failure of HEAD, if that may say more.
async fn after_head(
    context: Context<'_>,
    request: &Request,
    authorization: &Authorization,
    response: Response,
    call: &mut Call<'_>,
) -> (Response, Operation) {
    // Artifactory's HEAD is right, and it may have suspended the login.
    if request.operation != Operation::Head
        || response.is_artifactory()
        || !context.fallback.wants_get(&response)
    {
        return (response, request.operation);
    }
    let get = Request {
        operation: Operation::Get,
        ..context.request(request, authorization.header())
    };
    let got = context.http.send(context.host, get, call).await;
    context.fallback.choose(response, got.ok())
}
