//! Google's metadata server, STS, IAM credentials, and the token server of its registries.

use http::HeaderName;
use serde_json::json;

use super::{
    AUDIENCE, GAR, GOOGLE_ACCOUNT, SERVICE_ACCOUNT_TOKEN,
    answer::{Answer, end, json, set, text},
    azure::has_form,
    request::{Request, Step},
    state::State,
};

const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";

/// The metadata server.
pub(super) fn metadata(step: Step, request: &Request, state: &mut State) -> Answer {
    if request.method != "GET" || request.header("metadata-flavor") != "Google" {
        state.complain(step, "no Metadata-Flavor");
        return json(403, &json!({}));
    }
    let mut answer = if step == Step::Metadata {
        let token = state.issue("google-token", GOOGLE_ACCOUNT);
        let body = json!({ "access_token": token, "expires_in": state.life.as_secs(), "token_type": "Bearer" });
        json(200, &body)
    } else {
        text(200, "application/text", GOOGLE_ACCOUNT)
    };
    let flavor = HeaderName::from_static("metadata-flavor");
    set(answer.headers_mut(), flavor, "Google");
    answer
}

/// The source of a subject token: a server of the platform.
pub(super) fn subject(request: &Request, state: &mut State) -> Answer {
    if request.header("x-platform") != "testbed" {
        state.complain(Step::SubjectToken, "the headers of the source");
        return json(403, &json!({}));
    }
    json(200, &json!({ "id_token": SERVICE_ACCOUNT_TOKEN }))
}

/// STS: a federated token for that of the platform.
pub(super) fn sts(request: &Request, state: &mut State) -> Answer {
    let expected = [
        (
            "grant_type",
            "urn:ietf:params:oauth:grant-type:token-exchange",
        ),
        ("audience", AUDIENCE),
        ("scope", SCOPE),
        (
            "requested_token_type",
            "urn:ietf:params:oauth:token-type:access_token",
        ),
        ("subject_token_type", "urn:ietf:params:oauth:token-type:jwt"),
        ("subject_token", SERVICE_ACCOUNT_TOKEN),
    ];
    if request.path != "/v1/token" || !has_form(request, &expected) {
        state.complain(Step::GoogleSts, "the form");
        return json(400, &json!({ "error": "invalid_grant" }));
    }
    let token = state.issue("federated-token", "federated");
    let body = json!({
        "access_token": token,
        "issued_token_type": "urn:ietf:params:oauth:token-type:access_token",
        "token_type": "Bearer",
        "expires_in": state.life.as_secs(),
    });
    json(200, &body)
}

/// IAM credentials: a token of a service account for a federated one.
pub(super) fn impersonate(request: &Request, state: &mut State) -> Answer {
    let path = format!("/v1/projects/-/serviceAccounts/{GOOGLE_ACCOUNT}:generateAccessToken");
    let bearer = request.header("authorization").strip_prefix("Bearer ");
    let owner = bearer.and_then(|token| state.owner(token));
    let body: serde_json::Value = serde_json::from_slice(&request.body).unwrap_or_default();
    let is_right = request.method == "POST"
        && request.path == path
        && request.header("content-type") == "application/json"
        && body == json!({ "scope": [SCOPE] });
    if !is_right || owner.as_deref() != Some("federated") {
        state.complain(Step::Impersonation, "the request");
        let error = json!({ "code": 403, "status": "PERMISSION_DENIED" });
        return json(403, &json!({ "error": error }));
    }
    let token = state.issue("google-token", GOOGLE_ACCOUNT);
    let body = json!({ "accessToken": token, "expireTime": end(state).to_string() });
    json(200, &body)
}

/// The token server of registries: a token for the password of the user `oauth2accesstoken`, or of `AWS` at the public
/// gallery of ECR.
pub(super) fn registry_token(
    host: &str,
    login: Option<(String, String)>,
    state: &mut State,
) -> Answer {
    let expected = if host == GAR {
        "oauth2accesstoken"
    } else {
        "AWS"
    };
    let owner = login
        .filter(|(user, _)| user == expected)
        .and_then(|(_, password)| state.owner(&password));
    match owner {
        Some(owner) => {
            let token = state.issue("gar-token", &owner);
            json(200, &json!({ "token": token, "expires_in": 300 }))
        }
        None => json(401, &json!({ "errors": [{ "code": "UNAUTHORIZED" }] })),
    }
}
