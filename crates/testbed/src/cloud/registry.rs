//! The registries of the clouds: each requires a credential of its own cloud, and serves the content of the registry
//! behind it.

use http::header::{LOCATION, WWW_AUTHENTICATE};
use serde_json::json;

use super::{
    ACR, ECR, ECR_PUBLIC, EVIL, GAR,
    answer::{Answer, json, set},
    request::Request,
    state::{Mistreatment, State},
};
use crate::server::basic_login;

/// The response to a request that is refused; nothing for one that is to be served.
pub(super) fn refusal(request: &Request, state: &State) -> Option<Answer> {
    let sent = request.header("authorization");
    if state.mistreatment == Some(Mistreatment::Realm) {
        let realm = format!(r#"Bearer realm="https://{EVIL}/token",service="x""#);
        return Some(challenge(&realm));
    }
    let refused = own_refusal(request, sent, state);
    match state.mistreatment.filter(|_| refused.is_none()) {
        Some(Mistreatment::Redirect) => {
            let mut response = json(307, &json!({}));
            let to = format!("https://{EVIL}{}", request.path);
            set(response.headers_mut(), LOCATION, &to);
            Some(response)
        }
        Some(Mistreatment::Forbid) => Some(denied("User is not authorized to perform this action")),
        Some(Mistreatment::Realm) | None => refused,
    }
}

fn own_refusal(request: &Request, sent: &str, state: &State) -> Option<Answer> {
    match &*request.host {
        ECR => {
            let Some((user, password)) = basic_login(&request.headers) else {
                let realm = format!(r#"Basic realm="https://{ECR}/",service="ecr.amazonaws.com""#);
                return Some(challenge(&realm));
            };
            if user == "AWS" && state.owner(&password).is_some() {
                return None;
            }
            // ECR responds so to invalid tokens, too
            Some(denied(
                "Your authorization token has expired. Reauthenticate and try again.",
            ))
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
    set(response.headers_mut(), WWW_AUTHENTICATE, challenge);
    response
}

fn denied(message: &str) -> Answer {
    json(
        403,
        &json!({ "errors": [{ "code": "DENIED", "message": message }] }),
    )
}
