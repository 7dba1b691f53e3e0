//! The registries of the clouds: each wants its own cloud's credential, and has what the registry behind it has.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use http::header::{LOCATION, WWW_AUTHENTICATE};
use serde_json::json;

use super::{
    ACR, ECR, ECR_PUBLIC, EVIL, GAR,
    answer::{Answer, json},
    asked::Request,
    state::{Astray, State},
};

/// Why a request is not let in; nothing: it is.
pub(super) fn refusal(request: &Request, state: &State) -> Option<Answer> {
    let sent = request.header("authorization");
    if state.astray == Some(Astray::Realm) {
        let realm = format!(r#"Bearer realm="https://{EVIL}/token",service="x""#);
        return Some(challenge(&realm));
    }
    let refused = own_refusal(request, sent, state);
    if refused.is_none() && state.astray == Some(Astray::Redirect) {
        let mut response = json(307, &json!({}));
        if let Ok(to) = format!("https://{EVIL}{}", request.path).parse() {
            response.headers_mut().insert(LOCATION, to);
        }
        return Some(response);
    }
    if refused.is_none() && state.astray == Some(Astray::Forbid) {
        let message = "User is not authorized to perform this action";
        let error = json!({ "errors": [{ "code": "DENIED", "message": message }] });
        return Some(json(403, &error));
    }
    refused
}

fn own_refusal(request: &Request, sent: &str, state: &State) -> Option<Answer> {
    match &*request.host {
        ECR => {
            let Some((user, password)) = login(sent) else {
                let realm = format!(r#"Basic realm="https://{ECR}/",service="ecr.amazonaws.com""#);
                return Some(challenge(&realm));
            };
            if user == "AWS" && state.owner(&password).is_some() {
                return None;
            }
            // So ECR answers also to a token that has expired.
            let message = "Your authorization token has expired. Reauthenticate and try again.";
            let error = json!({ "errors": [{ "code": "DENIED", "message": message }] });
            Some(json(403, &error))
        }
        ECR_PUBLIC => bearer(
            sent,
            state,
            "https://public.ecr.aws/token/",
            "public.ecr.aws",
        ),
        GAR => bearer(sent, state, &format!("https://{GAR}/v2/token"), GAR),
        ACR => bearer(sent, state, &format!("https://{ACR}/oauth2/token"), ACR),
        _ => Some(json(
            404,
            &json!({ "errors": [{ "code": "NAME_UNKNOWN" }] }),
        )),
    }
}

fn bearer(sent: &str, state: &State, realm: &str, service: &str) -> Option<Answer> {
    let token = sent.strip_prefix("Bearer ");
    if token.is_some_and(|token| state.owner(token).is_some()) {
        return None;
    }
    let challenged = format!(r#"Bearer realm="{realm}",service="{service}""#);
    Some(challenge(&challenged))
}

fn challenge(challenge: &str) -> Answer {
    let mut response = json(401, &json!({ "errors": [{ "code": "UNAUTHORIZED" }] }));
    if let Ok(value) = challenge.parse() {
        response.headers_mut().insert(WWW_AUTHENTICATE, value);
    }
    response
}

/// The user and the password of Basic authentication.
pub(super) fn login(sent: &str) -> Option<(String, String)> {
    let decoded = BASE64_STANDARD.decode(sent.strip_prefix("Basic ")?).ok()?;
    let decoded = String::from_utf8(decoded).ok()?;
    let (user, password) = decoded.split_once(':')?;
    Some((user.to_owned(), password.to_owned()))
}
