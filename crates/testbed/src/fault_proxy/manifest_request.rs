//! Requests for manifests, and the responses for tags.

use http::{
    Method, Response, StatusCode,
    header::{IF_NONE_MATCH, USER_AGENT},
    request::Parts,
};
use jiff::Timestamp;

use crate::{relay, server::header};

/// A true response to a client's request for a tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagResponse {
    /// The repository.
    pub repository: String,
    /// The tag.
    pub tag: String,
    /// The digest.
    pub digest: String,
    /// The client's `User-Agent`.
    pub user_agent: String,
    /// When the request was received.
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
    /// `If-None-Match`: the digest that the client has; empty if it has none.
    known: String,
}

impl ManifestRequest {
    pub(super) fn read(head: &Parts) -> Option<Self> {
        let (repository, reference) = relay::manifest(head.uri.path())?;
        Some(Self {
            method: head.method.clone(),
            repository: repository.to_owned(),
            reference: reference.to_owned(),
            user_agent: header(&head.headers, USER_AGENT).to_owned(),
            known: header(&head.headers, IF_NONE_MATCH)
                .trim_matches('"')
                .to_owned(),
        })
    }

    /// Whether it names a manifest by its digest.
    pub(super) fn is_by_digest(&self) -> bool {
        relay::is_digest(&self.reference)
    }

    /// The record of the response, if the request was for a tag.
    pub(super) fn tag_response<B>(
        self,
        response: &Response<B>,
        at: Timestamp,
    ) -> Option<TagResponse> {
        let digest = match response.status() {
            StatusCode::OK => header(response.headers(), relay::DIGEST).to_owned(),
            StatusCode::NOT_MODIFIED => self.known,
            _ => return None,
        };
        (!digest.is_empty() && !relay::is_digest(&self.reference)).then_some(TagResponse {
            repository: self.repository,
            tag: self.reference,
            digest,
            user_agent: self.user_agent,
            at,
        })
    }
}
