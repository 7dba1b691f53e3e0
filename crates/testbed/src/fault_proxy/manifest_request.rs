//! Requests for manifests, and the answers about tags.

use http::{
    Method, Response, StatusCode,
    header::{IF_NONE_MATCH, USER_AGENT},
    request::Parts,
};
use jiff::Timestamp;

use super::forgery::DIGEST;
use crate::relay;

/// A digest that a client was given for a tag, as the registry had it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagAnswer {
    /// The repository.
    pub repository: String,
    /// The tag.
    pub tag: String,
    /// The digest.
    pub digest: String,
    /// The client's `User-Agent`.
    pub user_agent: String,
    /// When the request came.
    pub at: Timestamp,
}

/// A request for a manifest.
#[derive(Debug)]
pub(super) struct ManifestRequest {
    pub(super) method: Method,
    pub(super) repository: String,
    /// A tag or a digest.
    pub(super) reference: String,
    user_agent: String,
    /// The digest that the client has.
    known: Option<String>,
}

impl ManifestRequest {
    pub(super) fn read(head: &Parts) -> Option<Self> {
        let (repository, reference) = relay::manifest(head.uri.path())?;
        let text = |name| head.headers.get(name).and_then(|value| value.to_str().ok());
        Some(Self {
            method: head.method.clone(),
            repository: repository.to_owned(),
            reference: reference.to_owned(),
            user_agent: text(USER_AGENT).unwrap_or_default().to_owned(),
            known: text(IF_NONE_MATCH).map(|tag| tag.trim_matches('"').to_owned()),
        })
    }

    /// Whether it names a manifest by its digest.
    pub(super) fn is_by_digest(&self) -> bool {
        relay::is_digest(&self.reference)
    }

    /// What the answer says of a tag.
    pub(super) fn tag_answer<B>(self, response: &Response<B>, at: Timestamp) -> Option<TagAnswer> {
        let digest = match response.status() {
            StatusCode::OK => response.headers().get(DIGEST)?.to_str().ok()?.to_owned(),
            StatusCode::NOT_MODIFIED => self.known?,
            _ => return None,
        };
        (!relay::is_digest(&self.reference)).then_some(TagAnswer {
            repository: self.repository,
            tag: self.reference,
            digest,
            user_agent: self.user_agent,
            at,
        })
    }
}
