//! The two documents of an issuer (<https://openid.net/specs/openid-connect-discovery-1_0.html#ProviderConfig>).

use serde::Deserialize;

use super::{
    key::{Key, KeySet},
    settings::is_trustworthy,
};

/// The longest accepted document, in bytes.
pub const MAX_DOCUMENT: usize = 256 << 10;

/// A document of the issuer to fetch, without following redirects.
#[derive(Debug, PartialEq, Eq)]
pub struct Fetch {
    url: String,
    stage: Stage,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Discovery,
    Keys,
}

/// Why a document of the issuer cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DocumentError {
    /// It could not be fetched.
    #[error("the issuer did not respond with the document")]
    Missing,
    /// It is longer than [`MAX_DOCUMENT`].
    #[error("the document of the issuer is longer than {MAX_DOCUMENT} bytes")]
    TooLong,
    /// It is not JSON, or lacks a required field.
    #[error("the document of the issuer is not what OpenID Connect says")]
    Shape,
    /// It names another issuer.
    #[error(
        "the document names another issuer; set oidc.issuer exactly as the issuer writes itself"
    )]
    Issuer,
    /// The URL of the keys is without TLS.
    #[error("the document names keys (jwks_uri) that do not come over https://")]
    Untrustworthy,
    /// It has no named key for RS256 or ES256.
    #[error("the issuer has no key for RS256 or ES256")]
    NoKeys,
}

#[derive(Deserialize)]
struct Configuration {
    issuer: String,
    jwks_uri: String,
}

pub(super) enum Document {
    /// The document to fetch next.
    Discovery(Fetch),
    Keys(Vec<Key>),
}

impl Fetch {
    pub(super) fn discovery(issuer: &str) -> Self {
        let issuer = issuer.trim_end_matches('/');
        Self {
            url: format!("{issuer}/.well-known/openid-configuration"),
            stage: Stage::Discovery,
        }
    }

    /// The URL of the document.
    pub fn url(&self) -> &str {
        &self.url
    }
}

pub(super) fn read(
    fetch: &Fetch,
    body: Option<&[u8]>,
    issuer: &str,
) -> Result<Document, DocumentError> {
    let body = body.ok_or(DocumentError::Missing)?;
    if body.len() > MAX_DOCUMENT {
        return Err(DocumentError::TooLong);
    }
    match fetch.stage {
        Stage::Discovery => {
            let configuration = serde_json::from_slice(body);
            let Configuration {
                issuer: own,
                jwks_uri,
            } = configuration.map_err(|_| DocumentError::Shape)?;
            if own != issuer {
                return Err(DocumentError::Issuer);
            }
            if !is_trustworthy(&jwks_uri) {
                return Err(DocumentError::Untrustworthy);
            }
            Ok(Document::Discovery(Fetch {
                url: jwks_uri,
                stage: Stage::Keys,
            }))
        }
        Stage::Keys => {
            let set: KeySet = serde_json::from_slice(body).map_err(|_| DocumentError::Shape)?;
            if set.keys.is_empty() {
                return Err(DocumentError::NoKeys);
            }
            Ok(Document::Keys(set.keys))
        }
    }
}
