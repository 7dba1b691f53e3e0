//! Responses of the endpoints.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, Response, StatusCode, header};
use http_body_util::Full;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::{
    request::{Request, Step},
    state::{Failure, State},
};
use crate::clock::now;

/// A response.
pub(super) type Answer = Response<Full<Bytes>>;

/// A response with a body of this media type.
pub(super) fn text(status: u16, media_type: &str, body: impl Into<Bytes>) -> Answer {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
    set(response.headers_mut(), header::CONTENT_TYPE, media_type);
    response
}

/// A response with a JSON body.
pub(super) fn json(status: u16, body: &Value) -> Answer {
    text(status, "application/json", body.to_string())
}

/// Sets a header to a text that is valid there.
pub(super) fn set(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = value.parse() {
        headers.insert(name, value);
    }
}

/// When a credential that is issued now expires.
pub(super) fn end(state: &State) -> Timestamp {
    let life = SignedDuration::try_from(state.life).unwrap_or_default();
    now().checked_add(life).unwrap_or(Timestamp::MAX)
}

/// The injected failure of a step, if there is one; its message repeats the request.
pub(super) fn failure(step: Step, request: &Request, state: &State) -> Option<Answer> {
    let (status, code) = match state.failures.get(&step)? {
        Failure::Code(status, code) => (*status, *code),
        Failure::Malformed => return Some(text(200, "text/html", "<html>planted</html>")),
        Failure::Redirect(to) => {
            let mut response = text(307, "text/plain", "");
            set(response.headers_mut(), header::LOCATION, to);
            return Some(response);
        }
    };
    let message = format!(
        "{code}: {}",
        request.text().replace(['\n', '<', '&', '"'], " ")
    );
    Some(match step {
        Step::AssumeRoleWithWebIdentity | Step::AssumeRole | Step::GetCallerIdentity => text(
            status,
            "text/xml",
            format!(
                "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error></ErrorResponse>"
            ),
        ),
        Step::EcrToken | Step::EcrPublicToken => {
            let kind = format!("com.amazon.coral.service#{code}");
            json(status, &json!({ "__type": kind, "message": message }))
        }
        Step::Entra => {
            let number: u64 = code
                .trim_start_matches("AADSTS")
                .parse()
                .unwrap_or_default();
            let body = json!({ "error": "invalid_client", "error_description": message, "error_codes": [number] });
            json(status, &body)
        }
        Step::AcrExchange | Step::AcrToken | Step::RegistryToken => json(
            status,
            &json!({ "errors": [{ "code": code, "message": message }] }),
        ),
        Step::Impersonation => {
            let error = json!({ "code": status, "status": code, "message": message });
            json(status, &json!({ "error": error }))
        }
        Step::PodIdentity => json(status, &json!({ "code": code, "message": message })),
        Step::Metadata | Step::MetadataEmail | Step::SubjectToken | Step::GoogleSts => json(
            status,
            &json!({ "error": code, "error_description": message }),
        ),
    })
}
