//! What access is needed to.

use http::Uri;

/// What access is needed to.
#[derive(Debug, Clone)]
pub(crate) struct Resource {
    pub(crate) repository: String,
    /// The scope of a token that gives access.
    pub(crate) scope: String,
    /// Where the registry itself answers: `/v2/`, before the repository.
    pub(crate) base: Uri,
    pub(crate) subject: Subject,
}

/// What access to a resource says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Subject {
    /// A tag: a caller that gets it has access to the repository.
    Repository,
    /// A manifest by its digest, which may be refused alone.
    Manifest,
}
