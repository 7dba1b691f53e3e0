//! Verifies Signature Version 4 as the services do, from the request as it was received:
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>.

use std::fmt::Write as _;

use jiff::{SignedDuration, Timestamp, fmt::strtime};
use ring::hmac;

use super::{
    request::Request,
    state::{Keys, State},
};
use crate::{
    clock::now,
    image::{digest_of, hex},
};

/// What a service requires of a signature.
pub(super) struct Expected<'a> {
    pub(super) region: &'a str,
    pub(super) service: &'a str,
    /// Headers that must be signed besides `host`.
    pub(super) signed: &'a [&'a str],
}

/// The ARN of the identity that signed a request, or what is wrong with the signature.
pub(super) fn check(
    request: &Request,
    expected: &Expected<'_>,
    state: &State,
) -> Result<String, String> {
    let authorization = request.header("authorization");
    let fields = authorization
        .strip_prefix("AWS4-HMAC-SHA256 ")
        .ok_or("no AWS4-HMAC-SHA256")?;
    let field = |name: &str| {
        let mut fields = fields.split(", ");
        let found = fields.find_map(|field| field.strip_prefix(name)?.strip_prefix('='));
        found.ok_or_else(|| format!("no {name}"))
    };
    let (credential, signed, signature) = (
        field("Credential")?,
        field("SignedHeaders")?,
        field("Signature")?,
    );
    let [id, date, region, service, end] = credential.split('/').collect::<Vec<_>>()[..] else {
        return Err(format!("the credential {credential}"));
    };
    if (region, service, end) != (expected.region, expected.service, "aws4_request") {
        return Err(format!("the scope {region}/{service}/{end}"));
    }
    let keys = state.keys.get(id).ok_or("an unknown access key")?;
    let session = request.header("x-amz-security-token");
    if session != keys.session.as_deref().unwrap_or_default() {
        return Err("the session token".to_owned());
    }
    if keys.session.is_some() && state.owner(session).is_none() {
        return Err("an expired session token".to_owned());
    }
    let instant = request.header("x-amz-date");
    fresh(instant, date)?;
    let names: Vec<&str> = signed.split(';').collect();
    if !names.is_sorted() {
        return Err("headers out of order".to_owned());
    }
    let session_header = (!session.is_empty()).then_some("x-amz-security-token");
    let needed = ["host", "x-amz-date"].into_iter().chain(session_header);
    for name in needed.chain(expected.signed.iter().copied()) {
        if !names.contains(&name) {
            return Err(format!("{name} is not signed"));
        }
    }
    let computed = signature_of(request, keys, (&names, signed), (instant, date), expected);
    if computed == signature {
        Ok(keys.arn.clone())
    } else {
        Err("the signature does not match".to_owned())
    }
}

/// The signature that a request should have.
fn signature_of(
    request: &Request,
    keys: &Keys,
    (names, signed): (&[&str], &str),
    (instant, date): (&str, &str),
    expected: &Expected<'_>,
) -> String {
    let (region, service) = (expected.region, expected.service);
    let mut canonical = format!("{}\n{}\n{}\n", request.method, request.path, request.query);
    for name in names {
        let value = match *name {
            "host" => &request.host,
            name => request.header(name),
        };
        let _ = writeln!(canonical, "{name}:{}", value.trim()); // to a String, it never fails
    }
    let _ = write!(
        canonical,
        "\n{signed}\n{}",
        digest_of(&request.body).digest()
    );
    let scope = format!("{date}/{region}/{service}/aws4_request");
    let text = format!(
        "AWS4-HMAC-SHA256\n{instant}\n{scope}\n{}",
        digest_of(canonical.as_bytes()).digest()
    );
    let first = format!("AWS4{}", keys.secret).into_bytes();
    let parts = [date, region, service, "aws4_request", &text];
    let computed = parts.into_iter().fold(first, |key, part| {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &key);
        hmac::sign(&key, part.as_bytes()).as_ref().to_vec()
    });
    hex(&computed)
}

/// Checks that a date is within five minutes of now, as AWS does.
fn fresh(instant: &str, date: &str) -> Result<(), String> {
    let parsed = strtime::parse("%Y%m%dT%H%M%SZ", instant).ok();
    let parsed = parsed.and_then(|mut parsed| {
        parsed.set_offset(Some(jiff::tz::Offset::UTC));
        parsed.to_timestamp().ok()
    });
    let signed: Timestamp = parsed.ok_or_else(|| format!("the date {instant}"))?;
    let apart = now().duration_since(signed).abs();
    if apart > SignedDuration::from_mins(5) || !instant.starts_with(date) {
        return Err(format!("the date {instant} is too far away"));
    }
    Ok(())
}
