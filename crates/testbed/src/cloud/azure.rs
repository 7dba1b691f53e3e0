//! Entra ID and the tokens of ACR.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::json;

use super::{
    ACR, CLIENT, SERVICE_ACCOUNT_TOKEN, TENANT,
    answer::{Answer, end, json},
    request::{Request, Step},
    state::State,
};

/// Entra ID: an access token for the registries of the cloud.
pub(super) fn entra(request: &Request, state: &mut State) -> Answer {
    let expected = [
        ("grant_type", "client_credentials"),
        ("client_id", CLIENT),
        (
            "client_assertion_type",
            "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        ),
        ("client_assertion", SERVICE_ACCOUNT_TOKEN),
        ("scope", "https://containerregistry.azure.net/.default"),
    ];
    let path = format!("/{TENANT}/oauth2/v2.0/token");
    if request.path != path || !has_form(request, &expected) {
        state.complain(Step::Entra, "the form");
        return json(
            401,
            &json!({ "error": "invalid_client", "error_codes": [700_213] }),
        );
    }
    let token = state.issue("entra-token", CLIENT);
    json(
        200,
        &json!({ "token_type": "Bearer", "expires_in": 3599, "access_token": token }),
    )
}

/// The refresh token of a registry.
pub(super) fn exchange(request: &Request, state: &mut State) -> Answer {
    let token = request.field("access_token");
    let expected = [
        ("grant_type", "access_token"),
        ("service", ACR),
        ("tenant", TENANT),
        ("access_token", &token),
    ];
    if state.owner(&token).as_deref() != Some(CLIENT) || !has_form(request, &expected) {
        state.complain(Step::AcrExchange, "the form");
        return json(401, &json!({ "errors": [{ "code": "UNAUTHORIZED" }] }));
    }
    let claims = json!({ "exp": end(state).as_second(), "aud": ACR }).to_string();
    let payload = BASE64_URL_SAFE_NO_PAD.encode(claims);
    let number = state.issue("number", CLIENT);
    let refresh = format!("e30.{payload}.{number}");
    state.keep(refresh.clone(), CLIENT);
    json(200, &json!({ "refresh_token": refresh }))
}

/// An access token for a repository.
pub(super) fn token(request: &Request, state: &mut State) -> Answer {
    let field = |name| request.field(name);
    let scope = field("scope");
    let is_right = request.method == "POST"
        && field("grant_type") == "refresh_token"
        && field("service") == ACR
        && scope.starts_with("repository:")
        && scope.ends_with(":pull");
    if !is_right {
        state.complain(Step::AcrToken, "the form");
    }
    if !is_right || state.owner(&field("refresh_token")).is_none() {
        return json(401, &json!({ "errors": [{ "code": "UNAUTHORIZED" }] }));
    }
    let token = state.issue("acr-token", &scope);
    json(200, &json!({ "access_token": token }))
}

/// Whether a request is a form with just these fields.
pub(super) fn has_form(request: &Request, expected: &[(&str, &str)]) -> bool {
    let mut form = request.form();
    let mut expected: Vec<_> = expected
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    form.sort();
    expected.sort();
    request.method == "POST"
        && request.header("content-type") == "application/x-www-form-urlencoded"
        && form == expected
}
