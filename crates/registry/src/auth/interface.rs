//! What the layer above passes to an [`Authenticator`](super::Authenticator), and what it gets back.

use std::sync::Arc;

use http::Uri;

use super::authorization::AuthMethod;
use crate::{http::Response, observer::Operation};

/// The resource that a request needs access to.
#[derive(Debug, Clone)]
pub(crate) struct Resource {
    /// The repository, without its registry.
    pub(crate) repository: String,
    /// The same with its registry, as the reference names it: the key of what is remembered of a repository, as an endpoint
    /// may replace several registries.
    pub(crate) full_name: String,
    /// The scope of a token that grants access.
    pub(crate) scope: String,
    /// The base of the registry's API: `/v2/`, before the repository.
    pub(crate) base: Uri,
    pub(crate) subject: Subject,
}

/// What access to a resource proves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Subject {
    /// A tag: access to it is access to the repository.
    Repository,
    /// A manifest by its digest, which may be denied alone.
    Manifest,
}

/// A response that is neither 401 nor 403.
pub(crate) struct Reply {
    pub(crate) response: Response,
    pub(crate) auth_method: AuthMethod,
    /// The identity that the credential was issued to.
    pub(crate) identity: Option<Arc<str>>,
    /// GET, where a failed HEAD was repeated as GET.
    pub(crate) operation: Operation,
}

/// Decides whether a failed HEAD is repeated as GET: some registries do not support HEAD, and only the body of a GET has
/// the reason. Consulted before a failure counts as a verdict about the credential.
pub(crate) trait HeadFallback: Sync {
    /// Whether GET may report more than this failed HEAD.
    fn wants_get(&self, failure: &Response) -> bool;

    /// Chooses between the failed HEAD and the response to GET, if there was one.
    fn choose(&self, head: Response, get: Option<Response>) -> (Response, Operation);
}
