//! How one host wants to be asked, learnt from its answers, so that most questions are one request.

use std::{num::NonZeroUsize, sync::Arc, time::Duration};

use http::HeaderValue;
use lru::LruCache;
use oci_spec::image::Digest;
use tokio::time::Instant;

use crate::{artifactory::Layout, bounded::bounded, scheme::Scheme};

/// Repositories and manifests that are remembered; of those beyond, the registry is asked afresh.
const MAX_ENTRIES: NonZeroUsize = NonZeroUsize::MIN.saturating_add(4095);

/// For how long HEAD is not tried again after it has told nothing.
const SKIP_HEAD: Duration = Duration::from_secs(60 * 60);

/// For how long after a manifest was found there is no doubt about where the host has them all.
const SURE: Duration = Duration::from_secs(60 * 60);

/// What was learnt of one host.
pub(crate) struct Memory {
    scheme: Option<Arc<Scheme>>,
    /// Some registries have a realm for each group of repositories.
    schemes: LruCache<String, Arc<Scheme>>,
    head_failed: Option<Instant>,
    layout: Option<(Layout, Instant)>,
    known: LruCache<String, Known>,
}

/// A manifest that was read because HEAD does not tell its digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) digest: Digest,
    pub(crate) media_type: String,
    pub(crate) size: u64,
}

impl Known {
    /// For `If-None-Match`: distribution's entity tag is the digest in quotes. Where it is not, the manifest comes again.
    pub(crate) fn etag(&self) -> Option<HeaderValue> {
        HeaderValue::try_from(format!("\"{}\"", self.digest)).ok()
    }
}

impl Memory {
    /// How to authenticate for a repository, as far as is known.
    pub(crate) fn scheme(&mut self, repository: &str) -> Option<Arc<Scheme>> {
        self.schemes
            .get(repository)
            .or(self.scheme.as_ref())
            .cloned()
    }

    /// Keeps what the host answered for a repository: its first word counts for all repositories that are not known.
    pub(crate) fn learn(&mut self, repository: &str, scheme: Scheme) -> Arc<Scheme> {
        let scheme = Arc::new(scheme);
        if self.scheme.is_none() {
            self.scheme = Some(Arc::new(scheme.without_scopes()));
        }
        if self.scheme.as_ref() == Some(&scheme) {
            self.schemes.pop(repository);
        } else {
            self.schemes.put(repository.to_owned(), Arc::clone(&scheme));
        }
        scheme
    }

    /// Whether the host's HEAD is known to tell nothing.
    pub(crate) fn skips_head(&self) -> bool {
        self.head_failed
            .is_some_and(|since| since.elapsed() < SKIP_HEAD)
    }

    /// Where the host has its manifests, and whether that is sure.
    pub(crate) fn layout(&self) -> (Layout, bool) {
        self.layout
            .map_or((Layout::Standard, false), |(layout, found)| {
                (layout, found.elapsed() < SURE)
            })
    }

    /// A manifest was found.
    pub(crate) fn learn_layout(&mut self, layout: Layout) {
        self.layout = Some((layout, Instant::now()));
    }

    /// What was read at a path.
    pub(crate) fn known(&mut self, path: &str) -> Option<Known> {
        self.known.get(path).cloned()
    }

    /// GET has told what HEAD has not.
    pub(crate) fn skip_head(&mut self, path: &str, known: Known) {
        if !self.skips_head() {
            self.head_failed = Some(Instant::now());
        }
        self.known.put(path.to_owned(), known);
    }
}

impl Default for Memory {
    fn default() -> Self {
        Self {
            scheme: None,
            schemes: bounded(MAX_ENTRIES),
            head_failed: None,
            layout: None,
            known: bounded(MAX_ENTRIES),
        }
    }
}
