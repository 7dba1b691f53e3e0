//! The outcome of an exchange: the caller's result, and what it implies for the credential.

use http::StatusCode;

use super::{
    authorization::{AuthMethod, Authorization},
    context::Context,
    interface::Reply,
    quarantine::Probe,
    step::Failure,
    verdict::{self, BaseVerdict, Facts, Verdict},
};
use crate::{
    error::{Error, repr::Repr},
    http::{Call, Request, Response},
    observer::Operation,
};

/// The last request's authorization, and the response to it.
pub(crate) type LastResponse = (Authorization, Response);

/// The outcome of an exchange that ended with a response other than 401.
pub(crate) async fn of_response(
    context: Context<'_>,
    request: &Request,
    (authorization, response): LastResponse,
    call: &mut Call<'_>,
) -> Result<Reply, Error> {
    let (response, operation) = after_head(context, request, &authorization, response, call).await;
    let had_credentials = context.login.is_some() && !authorization.is_none();
    let probe = authorization.probe();
    let forbidden = response.status == StatusCode::FORBIDDEN;
    let verdict = verdict::of_response(Facts {
        status: response.status,
        authenticated: had_credentials,
        presented: probe.is_some(),
        recently_accepted: probe.is_some_and(Probe::was_accepted_recently),
        of_manifest: forbidden && context.is_manifest_refused(&response),
        is_artifactory: response.is_artifactory(),
    });
    let auth_method = match context.login {
        Some(_) => authorization.method(),
        None => AuthMethod::Anonymous,
    };
    match verdict {
        Verdict::Granted => context.grant(authorization),
        Verdict::CredentialAccepted => authorization.accept(),
        Verdict::Inconclusive => {}
        Verdict::ManifestDenied => {
            return Err(response.error(Repr::ManifestDenied(response.status)));
        }
        denied => {
            if denied == Verdict::RepositoryDenied {
                authorization.accept();
                context.quarantine_repository();
            } else if denied == Verdict::RequestBase {
                request_base(context, request, authorization, call).await;
            }
            return Err(response.error(Repr::Denied { had_credentials }));
        }
    }
    Ok(Reply {
        response,
        auth_method,
        identity: None,
        operation,
    })
}

/// The outcome of an exchange in which authentication is impossible.
pub(crate) fn of_failure(
    context: Context<'_>,
    failure: Failure,
    last_response: Option<LastResponse>,
) -> Error {
    let Some((authorization, response)) = last_response else {
        if let Failure::UnsupportedChallenge(repr) = failure {
            return context.error(repr);
        }
        context.quarantine_repository();
        return context.error(context.unauthorized());
    };
    match failure {
        Failure::UnsupportedChallenge(repr) => return response.error(repr),
        _ if context.is_manifest_refused(&response) => {
            return response.error(Repr::ManifestDenied(response.status));
        }
        Failure::CredentialRequired => {}
        failure => match (failure, authorization.into_probe()) {
            (Failure::CredentialRefused, Some(probe)) => probe.refuse(),
            _ => {
                context.quarantine_repository();
            }
        },
    }
    response.error(context.unauthorized())
}

/// Repeats a failed HEAD as GET, if that may report more.
async fn after_head(
    context: Context<'_>,
    request: &Request,
    authorization: &Authorization,
    response: Response,
    call: &mut Call<'_>,
) -> (Response, Operation) {
    // The status of Artifactory's HEAD is reliable, and it may have suspended the login.
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
    let get = context.http.send(context.host, get, call).await;
    context.fallback.choose(response, get.ok())
}

/// Requests the base of an Artifactory that responded with 403: was the credential refused, or the repository denied?
async fn request_base(
    context: Context<'_>,
    request: &Request,
    authorization: Authorization,
    call: &mut Call<'_>,
) {
    let base = context.base_request(request, authorization.header());
    let base = context.http.send(context.host, base, call).await;
    let verdict = verdict::of_base(base.map(|base| base.status).ok());
    if verdict == BaseVerdict::Accepted {
        context.quarantine_repository();
    }
    if let Some(probe) = authorization.into_probe() {
        match verdict {
            BaseVerdict::Accepted => probe.accept(None),
            BaseVerdict::Refused => probe.refuse(),
            BaseVerdict::Suspended => probe.suspend(),
        }
    }
}
