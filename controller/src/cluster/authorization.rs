//! Headers that say who we are, which no log shows.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use http::{HeaderValue, header::InvalidHeaderValue};

/// A header for a token.
///
/// # Errors
///
/// When the token has a character that no header can hold.
pub(super) fn bearer(token: &str) -> Result<HeaderValue, InvalidHeaderValue> {
    sensitive(&format!("Bearer {}", token.trim()))
}

/// A header for a login.
///
/// # Errors
///
/// Never, as Base64 has no such characters; the type cannot say so.
pub(super) fn basic(user: &str, password: &str) -> Result<HeaderValue, InvalidHeaderValue> {
    let login = BASE64_STANDARD.encode(format!("{user}:{password}"));
    sensitive(&format!("Basic {login}"))
}

fn sensitive(text: &str) -> Result<HeaderValue, InvalidHeaderValue> {
    let mut value = HeaderValue::try_from(text)?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_is_sent_as_base64() {
        let header = basic("alice", "wonder:land").expect("a header");
        assert_eq!(header, "Basic YWxpY2U6d29uZGVyOmxhbmQ=");
    }
}
