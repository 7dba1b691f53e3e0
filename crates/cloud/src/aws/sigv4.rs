//! Signature Version 4: <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>.

use std::{collections::BTreeMap, fmt, fmt::Write as _};

use jiff::Timestamp;
use ring::{digest, hmac};

/// AWS credentials, redacted in `Debug`.
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

/// A request to sign, without a query.
pub(super) struct Unsigned<'a> {
    pub(super) method: &'a str,
    /// The path as it is sent.
    pub(super) path: &'a str,
    /// All headers to sign, including `host`.
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: &'a [u8],
}

/// The credential scope and time of a signature.
pub(super) struct Scope<'a> {
    pub(super) region: &'a str,
    pub(super) service: &'a str,
    pub(super) now: Timestamp,
}

const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// Returns the headers to add to a request: the date, the session token and the signature.
pub(super) fn sign(
    keys: &Keys,
    scope: &Scope<'_>,
    mut request: Unsigned<'_>,
) -> Vec<(String, String)> {
    let instant = scope.now.strftime("%Y%m%dT%H%M%SZ").to_string();
    let mut added = vec![("x-amz-date".to_owned(), instant.clone())];
    if let Some(token) = &keys.session_token {
        added.push(("x-amz-security-token".to_owned(), token.clone()));
    }
    request.headers.extend(added.iter().cloned());
    let (canonical, signed) = canonical(&request);
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
fn canonical(request: &Unsigned<'_>) -> (String, String) {
    let mut by_name: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in &request.headers {
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
        let _ = writeln!(lines, "{name}:{value}"); // writing to a String never fails
    }
    let hash = hex(digest::digest(&digest::SHA256, request.body).as_ref());
    let Unsigned { method, path, .. } = request;
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
        let _ = write!(text, "{byte:02x}"); // writing to a String never fails
        text
    })
}

#[cfg(test)]
mod tests;
