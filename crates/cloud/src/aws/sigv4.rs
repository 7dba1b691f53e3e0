//! Signature Version 4 of requests: <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>.

use std::{collections::BTreeMap, fmt, fmt::Write as _};

use jiff::Timestamp;
use ring::{digest, hmac};

/// Credentials of AWS. `Debug` shows none of them.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Keys {
    pub(super) access_key_id: String,
    pub(super) secret_access_key: String,
    pub(super) session_token: Option<String>,
}

impl fmt::Debug for Keys {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Keys(..)")
    }
}

/// What is signed: a request without a query, which none of ours has.
pub(super) struct Unsigned<'a> {
    pub(super) method: &'a str,
    /// As it is sent.
    pub(super) path: &'a str,
    /// All that are signed, the host among them.
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: &'a [u8],
}

/// For whom and when a request is signed.
pub(super) struct Scope<'a> {
    pub(super) region: &'a str,
    pub(super) service: &'a str,
    pub(super) now: Timestamp,
}

const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// The headers that a request needs besides its own: the date, the session token and the signature.
pub(super) fn sign(keys: &Keys, scope: &Scope<'_>, request: Unsigned<'_>) -> Vec<(String, String)> {
    let instant = scope.now.strftime("%Y%m%dT%H%M%SZ").to_string();
    let mut added = vec![("x-amz-date".to_owned(), instant.clone())];
    if let Some(token) = &keys.session_token {
        added.push(("x-amz-security-token".to_owned(), token.clone()));
    }
    let mut headers = request.headers;
    headers.extend(added.iter().cloned());
    let (canonical, signed) = canonical(request.method, request.path, &headers, request.body);
    let date = instant.split('T').next().unwrap_or_default();
    let scoped = format!("{date}/{}/{}/aws4_request", scope.region, scope.service);
    let hash = hex(digest::digest(&digest::SHA256, canonical.as_bytes()).as_ref());
    let text = format!("{ALGORITHM}\n{instant}\n{scoped}\n{hash}");
    let signature = hex(&signature(keys, scope, date, &text));
    let authorization = format!(
        "{ALGORITHM} Credential={}/{scoped}, SignedHeaders={signed}, Signature={signature}",
        keys.access_key_id
    );
    added.push(("authorization".to_owned(), authorization));
    added
}

/// The canonical request, and the names of its headers.
fn canonical(
    method: &str,
    path: &str,
    headers: &[(String, String)],
    body: &[u8],
) -> (String, String) {
    let mut by_name: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in headers {
        let value = value.split_ascii_whitespace().collect::<Vec<_>>().join(" ");
        by_name
            .entry(name.to_ascii_lowercase())
            .and_modify(|values| *values = format!("{values},{value}"))
            .or_insert(value);
    }
    let signed = by_name.keys().map(String::as_str).collect::<Vec<_>>();
    let signed = signed.join(";");
    let mut lines = String::new();
    for (name, value) in &by_name {
        lines.push_str(name);
        lines.push(':');
        lines.push_str(value);
        lines.push('\n');
    }
    let hash = hex(digest::digest(&digest::SHA256, body).as_ref());
    let canonical = format!("{method}\n{path}\n\n{lines}\n{signed}\n{hash}");
    (canonical, signed)
}

fn signature(keys: &Keys, scope: &Scope<'_>, date: &str, text: &str) -> Vec<u8> {
    let mut key = format!("AWS4{}", keys.secret_access_key).into_bytes();
    for part in [date, scope.region, scope.service, "aws4_request", text] {
        let hmac_key = hmac::Key::new(hmac::HMAC_SHA256, &key);
        key = hmac::sign(&hmac_key, part.as_bytes()).as_ref().to_vec();
    }
    key
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String never fails.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests;
