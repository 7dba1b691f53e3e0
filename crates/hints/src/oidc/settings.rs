//! The settings for tokens.

use std::collections::BTreeMap;

use http::Uri;

/// The default audience of tokens.
pub const DEFAULT_AUDIENCE: &str = "kube-autorollout";

/// Claims that do not identify the holder of a token.
const NO_OWNER: [&str; 6] = ["iss", "aud", "exp", "nbf", "iat", "jti"];

/// The tokens that a receiver accepts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OidcSettings {
    /// The issuer, exactly as its tokens have it.
    pub issuer: String,
    /// The required audience.
    pub audience: String,
    /// Other required claims, compared literally; at least one that identifies the holder.
    pub claims: BTreeMap<String, String>,
}

impl OidcSettings {
    /// Validates the issuer.
    pub(crate) fn check_issuer(&self) -> Result<(), &'static str> {
        let is_plain = !self.issuer.contains(['?', '#']);
        if is_plain && is_trustworthy(&self.issuer) {
            Ok(())
        } else {
            Err("an https:// URL without a query, exactly as the tokens have it")
        }
    }

    /// Validates the claims.
    pub(crate) fn check_claims(&self) -> Result<(), &'static str> {
        let names_owner = |name: &String| !NO_OWNER.contains(&&**name);
        if self.claims.is_empty() {
            Err(
                "name at least one claim, such as repository_owner: many have tokens of a public issuer, and all of them could \
                 send hints",
            )
        } else if !self.claims.keys().all(names_owner) {
            Err(
                "issuer, audience and times have keys of their own; name who the tokens are given to",
            )
        } else if self.claims.values().any(String::is_empty) {
            Err("a claim needs a value")
        } else {
            Ok(())
        }
    }
}

/// Whether a URL has TLS, or is on this machine, so that its documents can be trusted.
pub(super) fn is_trustworthy(url: &str) -> bool {
    let Ok(url) = url.parse::<Uri>() else {
        return false;
    };
    let has_user = url
        .authority()
        .is_some_and(|authority| authority.as_str().contains('@'));
    let host = url.host().filter(|host| !host.is_empty() && !has_user);
    match (url.scheme_str(), host) {
        (Some("https"), Some(_)) => true,
        (Some("http"), Some(host)) => matches!(host, "localhost" | "127.0.0.1" | "[::1]"),
        _ => false,
    }
}
