//! STS, ECR's API and the agent of EKS Pod Identity.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::json;

use super::{
    AGENT_TOKEN, OTHER_ROLE, POD_ROLE, SERVICE_ACCOUNT_TOKEN,
    answer::{Answer, end, json, text},
    request::{Request, Step},
    signature::{Expected, check},
    state::State,
};

/// The region of the hosts here.
const REGION: &str = "eu-central-1";

/// The step that a request to STS is.
pub(super) fn sts_step(request: &Request) -> Option<Step> {
    match request.field("Action").as_str() {
        "AssumeRoleWithWebIdentity" => Some(Step::AssumeRoleWithWebIdentity),
        "AssumeRole" => Some(Step::AssumeRole),
        "GetCallerIdentity" => Some(Step::GetCallerIdentity),
        _ => None,
    }
}

/// STS.
pub(super) fn sts(step: Step, request: &Request, state: &mut State) -> Answer {
    let field = |name| request.field(name);
    let is_post = request.method == "POST"
        && request.path == "/"
        && request.header("content-type") == "application/x-www-form-urlencoded"
        && field("Version") == "2011-06-15";
    if !is_post {
        return refused(step, "no form of this version", "ValidationError", state);
    }
    if step != Step::GetCallerIdentity
        && (field("RoleSessionName") != "kube-autorollout" || field("DurationSeconds") != "3600")
    {
        return refused(step, "the session", "ValidationError", state);
    }
    let role = field("RoleArn");
    if step == Step::AssumeRoleWithWebIdentity {
        if field("WebIdentityToken") != SERVICE_ACCOUNT_TOKEN {
            return refused(step, "the token", "InvalidIdentityToken", state);
        }
        if !request.header("authorization").is_empty() {
            return refused(step, "it is signed", "ValidationError", state);
        }
        if role != POD_ROLE {
            return refused(step, "the role", "AccessDenied", state);
        }
        return keys("AssumeRoleWithWebIdentity", &role, state);
    }
    let expected = Expected {
        region: REGION,
        service: "sts",
        signed: &["content-type"],
    };
    let caller = match check(request, &expected, state) {
        Ok(caller) => caller,
        Err(what) => return refused(step, &what, "SignatureDoesNotMatch", state),
    };
    if step == Step::GetCallerIdentity {
        let body = format!(
            "<GetCallerIdentityResponse><GetCallerIdentityResult><Arn>{caller}</Arn></GetCallerIdentityResult></GetCallerIdentityResponse>"
        );
        return text(200, "text/xml", body);
    }
    if role != OTHER_ROLE {
        return refused(step, "the role", "AccessDenied", state);
    }
    keys("AssumeRole", &role, state)
}

fn keys(action: &str, role: &str, state: &mut State) -> Answer {
    let (id, keys) = state.issue_keys(role);
    let session = keys.session.unwrap_or_default();
    let expires = end(state);
    let body = format!(
        "<{action}Response xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><{action}Result><Credentials>\
         <AccessKeyId>{id}</AccessKeyId><SecretAccessKey>{}</SecretAccessKey><SessionToken>{session}</SessionToken>\
         <Expiration>{expires:.0}</Expiration></Credentials></{action}Result></{action}Response>",
        keys.secret
    );
    text(200, "text/xml", body)
}

fn refused(step: Step, what: &str, code: &str, state: &mut State) -> Answer {
    state.complain(step, what);
    let status = if code == "AccessDenied" { 403 } else { 400 };
    let body = format!(
        "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>{what}</Message></Error></ErrorResponse>"
    );
    text(status, "text/xml", body)
}

/// ECR's API, or that of the public gallery.
pub(super) fn ecr(step: Step, request: &Request, state: &mut State) -> Answer {
    let (target, expected) = match step {
        Step::EcrPublicToken => (
            "SpencerFrontendService.GetAuthorizationToken",
            ("us-east-1", "ecr-public"),
        ),
        _ => (
            "AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken",
            (REGION, "ecr"),
        ),
    };
    let is_right = request.method == "POST"
        && request.path == "/"
        && request.header("content-type") == "application/x-amz-json-1.1"
        && request.header("x-amz-target") == target
        && &*request.body == b"{}";
    if !is_right {
        state.complain(step, "no GetAuthorizationToken");
        return json(400, &json!({ "__type": "UnknownOperationException" }));
    }
    let expected = Expected {
        region: expected.0,
        service: expected.1,
        signed: &["content-type", "x-amz-target"],
    };
    let caller = match check(request, &expected, state) {
        Ok(caller) => caller,
        Err(what) => {
            state.complain(step, &what);
            return json(
                403,
                &json!({ "__type": "InvalidSignatureException", "message": what }),
            );
        }
    };
    let password = state.issue("ecr-password", &caller);
    let expires = end(state).as_duration().as_secs_f64();
    let data = json!({
        "authorizationToken": BASE64_STANDARD.encode(format!("AWS:{password}")),
        "expiresAt": expires,
        "proxyEndpoint": format!("https://{}", super::ECR),
    });
    match step {
        Step::EcrPublicToken => json(200, &json!({ "authorizationData": data })),
        _ => json(200, &json!({ "authorizationData": [data] })),
    }
}

/// The agent of EKS Pod Identity.
pub(super) fn agent(request: &Request, state: &mut State) -> Answer {
    if request.method != "GET" || request.header("authorization") != AGENT_TOKEN {
        state.complain(Step::PodIdentity, "the authorization");
        return json(400, &json!({ "code": "InvalidTokenException" }));
    }
    let (id, keys) = state.issue_keys(POD_ROLE);
    let body = json!({
        "AccessKeyId": id,
        "SecretAccessKey": keys.secret,
        "Token": keys.session,
        "AccountId": "123456789012",
        "Expiration": end(state).to_string(),
    });
    json(200, &body)
}
