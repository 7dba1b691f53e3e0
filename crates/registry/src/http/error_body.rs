//! Parses the bodies of failures.
//!
//! Registries respond with the error codes of the distribution specification
//! (<https://github.com/opencontainers/distribution-spec/blob/main/spec.md#error-codes>), token servers with those of
//! `OAuth2` (RFC 6749, section 5.2). The text is not trusted: it is bounded, escaped, and dropped if it repeats a secret of
//! the request.

use std::time::Duration;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue,
    header::{AUTHORIZATION, CONTENT_TYPE},
};
use http_body_util::BodyExt as _;
use hyper::body::{Body, Incoming};
use serde_json::Value;
use tokio::time::timeout;

use crate::error::ErrorBody;

/// The part of a body that is read, in bytes.
const MAX_BYTES: usize = 8 * 1024;

/// The time to read a body: the status suffices without it.
const READ_TIMEOUT: Duration = Duration::from_secs(2);

/// Errors that are read from one body.
const MAX_ERRORS: usize = 8;

/// The longest error code, in bytes.
const MAX_CODE: usize = 64;

/// The longest message, in characters; the rest is cut off.
const MAX_MESSAGE: usize = 300;

/// Reads the beginning of a failure's body. A body that cannot be read counts as empty.
pub(crate) async fn read(headers: &HeaderMap, body: Incoming, secrets: &Secrets) -> ErrorBody {
    parse(headers, &beginning(body).await, secrets)
}

fn parse(headers: &HeaderMap, bytes: &[u8], secrets: &Secrets) -> ErrorBody {
    let mut parsed = ErrorBody::default();
    if let Ok(value) = serde_json::from_slice(bytes) {
        add(&mut parsed, &value, secrets);
        let errors = value.get("errors").and_then(Value::as_array);
        for error in errors.into_iter().flatten().take(MAX_ERRORS) {
            add(&mut parsed, error, secrets);
        }
    } else if is_plain_text(headers) {
        let text = String::from_utf8_lossy(bytes);
        parsed.message = Some(&*text)
            .filter(|text| !secrets.are_in(text))
            .and_then(message);
    }
    parsed
}

/// Adds one error object. Its fields are those of the distribution specification, of RFC 6749, and of known token servers:
/// `details` is Docker's.
fn add(parsed: &mut ErrorBody, error: &Value, secrets: &Secrets) {
    let text = |name: &str| {
        let text = error.get(name).and_then(Value::as_str);
        text.filter(|text| !secrets.are_in(text))
    };
    for code in ["code", "error"].into_iter().filter_map(text) {
        if is_code(code) {
            parsed.codes.push(code.to_owned());
        } else {
            parsed.message = parsed.message.take().or_else(|| message(code));
        }
    }
    for name in ["message", "error_description", "details", "detail"] {
        let shown = || text(name).and_then(message);
        parsed.message = parsed.message.take().or_else(shown);
    }
}

/// The secrets of a request, which no message may repeat.
#[derive(Default)]
pub(crate) struct Secrets(Vec<String>);

impl Secrets {
    /// The secrets in the `Authorization` header and the form.
    pub(crate) fn of(headers: &HeaderMap, form: Option<&Bytes>) -> Self {
        let mut secrets = Vec::new();
        let sent = headers.get(AUTHORIZATION).map(HeaderValue::as_bytes);
        let sent = sent.and_then(|sent| std::str::from_utf8(sent).ok());
        if let Some((_, secret)) = sent.and_then(|sent| sent.split_once(' ')) {
            let decoded = BASE64_STANDARD.decode(secret).ok();
            let decoded = decoded.and_then(|bytes| String::from_utf8(bytes).ok());
            let password = decoded.as_deref().and_then(|login| login.split_once(':'));
            secrets.extend(password.map(|(_, password)| password.to_owned()));
            secrets.push(secret.to_owned());
        }
        for (name, value) in url::form_urlencoded::parse(form.map_or(&[][..], |form| form)) {
            if name == "refresh_token" {
                secrets.push(value.into_owned());
            }
        }
        secrets.retain(|secret| !secret.is_empty());
        Self(secrets)
    }

    fn are_in(&self, text: &str) -> bool {
        self.0.iter().any(|secret| text.contains(&**secret))
    }
}

/// The first bytes of a body that arrive in time.
async fn beginning<B: Body<Data = Bytes> + Unpin>(mut body: B) -> Vec<u8> {
    let mut bytes = Vec::new();
    let read = async {
        while let Some(Ok(frame)) = body.frame().await {
            let data = frame.into_data().unwrap_or_default();
            let left = MAX_BYTES.saturating_sub(bytes.len());
            bytes.extend(data.iter().take(left));
            if bytes.len() >= MAX_BYTES {
                break;
            }
        }
    };
    let _ = timeout(READ_TIMEOUT, read).await;
    bytes
}

fn is_code(text: &str) -> bool {
    let letters = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    (1..=MAX_CODE).contains(&text.len()) && text.bytes().all(letters)
}

/// A message in one line, without control characters. URLs lose their query, which may hold a signature.
fn message(text: &str) -> Option<String> {
    let words = text.split_whitespace().map(|word| match word.find("://") {
        Some(_) => word.split(['?', '#']).next().unwrap_or_default(),
        None => word,
    });
    let line = words.collect::<Vec<_>>().join(" ");
    let shown =
        |letter: char| letter == ' ' || letter.is_ascii_graphic() || letter.is_alphanumeric();
    let mut letters = line
        .chars()
        .map(|letter| if shown(letter) { letter } else { '?' });
    let mut cut: String = letters.by_ref().take(MAX_MESSAGE).collect();
    if letters.next().is_some() {
        cut.push('…');
    }
    (!cut.is_empty()).then_some(cut)
}

fn is_plain_text(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes);
    kind.is_some_and(|kind| kind.to_ascii_lowercase().starts_with(b"text/plain"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(body: &str) -> ErrorBody {
        parse(&HeaderMap::new(), body.as_bytes(), &Secrets::default())
    }

    #[test]
    fn codes_and_messages_of_registries_and_token_servers_are_parsed() {
        let cases = [
            (
                r#"{"errors":[{"code":"DENIED","message":"denied"}]}"#,
                "DENIED: denied",
            ),
            (
                r#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"","detail":{"Tag":"1"}},{"code":"X","message":"y"}]}"#,
                "MANIFEST_UNKNOWN, X: y",
            ),
            // Artifactory
            (
                r#"{"errors":[{"status":403,"message":"Artifact download request rejected"}]}"#,
                "Artifact download request rejected",
            ),
            (
                r#"{"error":"invalid_grant","error_description":"refresh token expired"}"#,
                "invalid_grant: refresh token expired",
            ),
            (r#"{"error":"Not in the mood"}"#, "Not in the mood"),
            // Docker's token server
            (
                r#"{"details":"incorrect username or password"}"#,
                "incorrect username or password",
            ),
            (r#"{"errors":"none"}"#, ""),
            (r#"{"errors":[{"code":7,"message":[]}]}"#, ""),
            ("[]", ""),
            ("null", ""),
            ("<html>denied</html>", ""),
            (r#"{"errors":[{"code":"DENIED""#, ""),
        ];
        for (body, expected) in cases {
            let parsed = said(body);
            assert_eq!(parsed.to_string(), expected, "{body}");
            assert_eq!(parsed.is_empty(), expected.is_empty(), "{body}");
        }
    }

    #[test]
    fn plain_text_is_a_message_if_declared_as_such() {
        let declared = |kind: &'static str| {
            let headers = [(CONTENT_TYPE, HeaderValue::from_static(kind))];
            let headers = headers.into_iter().collect();
            parse(&headers, b"Too many\r\nrequests", &Secrets::default()).message
        };
        assert_eq!(
            declared("text/plain; charset=utf-8").as_deref(),
            Some("Too many requests")
        );
        assert_eq!(declared("text/html"), None);
    }

    #[test]
    fn a_message_is_one_short_line_without_control_characters() {
        let long = "x".repeat(10_000);
        let cases = [
            ("a\u{1b}[31m\nb\u{202e}c\0", "a?[31m b?c?".to_owned()),
            ("größe 大小", "größe 大小".to_owned()),
            (
                "see https://a.example/b?signature=planted#c now",
                "see https://a.example/b now".to_owned(),
            ),
            (&long, format!("{}…", "x".repeat(MAX_MESSAGE))),
        ];
        for (text, expected) in cases {
            let body = serde_json::json!({ "message": text }).to_string();
            assert_eq!(said(&body).message, Some(expected), "{text}");
        }
        let codes = serde_json::json!({ "code": "A".repeat(65), "errors": vec![serde_json::json!({"code": "B"}); 50] });
        assert_eq!(said(&codes.to_string()).codes, ["B"; MAX_ERRORS]);
    }

    #[test]
    fn a_message_that_repeats_a_secret_is_dropped() {
        let basic = HeaderValue::from_static("Basic dXNlcjpwbGFudGVk"); // user:planted
        let bearer = HeaderValue::from_static("Bearer planted");
        let form = Bytes::from_static(b"grant_type=refresh_token&refresh_token=pl%61nted");
        let sent = |header| [(AUTHORIZATION, header)].into_iter().collect();
        let requests = [
            (sent(basic), None),
            (sent(bearer), None),
            (HeaderMap::new(), Some(&form)),
        ];
        let padding = " ".repeat(10);
        let text = format!("{}{padding}planted", "x".repeat(MAX_MESSAGE - 3));
        for (headers, form) in requests {
            let secrets = Secrets::of(&headers, form);
            for body in [
                serde_json::json!({ "message": text, "code": "planted" }).to_string(),
                r#"{"message":"not dXNlcjpwbGFudGVk","error":"pl\u0061nted"}"#.to_owned(),
            ] {
                let parsed = parse(&HeaderMap::new(), body.as_bytes(), &secrets);
                assert!(!format!("{parsed:?}").contains("plant"), "{parsed:?}");
            }
        }
    }
}
