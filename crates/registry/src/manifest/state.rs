//! What was learnt of one host's manifests, so that most requests are one HEAD.

use std::sync::Arc;

use http::HeaderValue;
use lru::LruCache;
use oci_spec::image::Digest;
use parking_lot::Mutex;

use super::{artifactory::Layouts, head_support::HeadSupport};
use crate::{
    cache::{MAX_REPOSITORIES, bounded},
    http::HostClient,
};

/// What was learnt of one host's manifests.
pub(crate) struct ManifestState {
    pub(crate) heads: HeadSupport,
    pub(crate) layouts: Layouts,
    /// By the path of the manifest.
    pub(crate) descriptors: LruCache<String, CachedDescriptor>,
}

/// A manifest that was read because HEAD does not report its digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CachedDescriptor {
    pub(crate) digest: Digest,
    pub(crate) media_type: String,
    pub(crate) size: u64,
}

impl CachedDescriptor {
    /// For `If-None-Match`: distribution's entity tag is the digest in quotes. Where it is not, the manifest comes again.
    pub(crate) fn etag(&self) -> Option<HeaderValue> {
        HeaderValue::try_from(format!("\"{}\"", self.digest)).ok()
    }
}

impl ManifestState {
    /// What was learnt of a host.
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
