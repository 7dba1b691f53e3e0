//! State of one host's manifests, by which most requests are one HEAD.

use std::sync::Arc;

use http::HeaderValue;
use lru::LruCache;
use oci_spec::image::Digest;
use parking_lot::Mutex;

use super::{artifactory::Layouts, head_support::HeadSupport};
use crate::{
    auth::HeadFallback,
    cache::{MAX_REPOSITORIES, bounded},
    http::{HostClient, Response},
    observer::Operation,
};

/// The state of one host's manifests.
pub(crate) struct ManifestState {
    pub(crate) heads: HeadSupport,
    pub(crate) layouts: Layouts,
    /// Manifests that were fetched because HEAD does not report their digest. By repository and tag.
    pub(crate) descriptors: LruCache<String, Descriptor>,
}

/// What is known of a manifest without its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Descriptor {
    pub(crate) digest: Digest,
    pub(crate) media_type: String,
    pub(crate) size: Option<u64>,
}

impl Descriptor {
    /// For `If-None-Match`: distribution's entity tag is the quoted digest. Other registries send the manifest again.
    pub(crate) fn etag(&self) -> Option<HeaderValue> {
        HeaderValue::try_from(format!("\"{}\"", self.digest)).ok()
    }
}

impl ManifestState {
    /// The state of a host.
    pub(crate) fn of(host: &HostClient) -> Arc<Mutex<Self>> {
        host.extension()
    }
}

impl Default for ManifestState {
    fn default() -> Self {
        Self {
            heads: HeadSupport::default(),
            layouts: Layouts::default(),
            descriptors: bounded(MAX_REPOSITORIES),
        }
    }
}

/// How one repository responds to HEAD.
pub(crate) struct RepositoryHeads<'a> {
    pub(crate) host: &'a HostClient,
    /// Its full name.
    pub(crate) repository: &'a str,
}

impl RepositoryHeads<'_> {
    /// Calls a method of the host's [`HeadSupport`] for the repository.
    pub(crate) fn support<T>(&self, call: impl FnOnce(&mut HeadSupport, &str) -> T) -> T {
        let state = ManifestState::of(self.host);
        call(&mut state.lock().heads, self.repository)
    }

    /// GET reported what HEAD did not. Docker Hub counts each GET of a manifest as a pull, and no HEAD
    /// (<https://docs.docker.com/docker-hub/usage/pulls/>).
    pub(crate) fn report_useless(&self) {
        let may_skip = self.host.origin.host != "registry-1.docker.io";
        self.support(|heads, repository| heads.report_useless(repository, may_skip));
    }
}

impl HeadFallback for RepositoryHeads<'_> {
    fn wants_get(&self, failure: &Response) -> bool {
        self.support(|heads, repository| heads.wants_get(repository, failure.status))
    }

    fn choose(&self, head: Response, get: Option<Response>) -> (Response, Operation) {
        let succeeded = get.as_ref().is_some_and(|get| get.status.is_success());
        if succeeded {
            self.report_useless();
        } else {
            self.support(HeadSupport::report_get_failed);
        }
        // Of two equal failures that of GET, which has a body.
        match get.filter(|get| succeeded || get.status == head.status) {
            Some(get) => (get, Operation::Get),
            None => (head, Operation::Head),
        }
    }
}
