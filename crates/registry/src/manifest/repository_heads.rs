//! Whether one repository is asked by HEAD, and by GET after it.

use super::{content, head_support::HeadSupport, state::ManifestState};
use crate::{
    auth::HeadFallback,
    http::{HostClient, Response},
    observer::Operation,
    origin::Origin,
};

/// The answers of one repository to HEAD.
pub(crate) struct RepositoryHeads<'a> {
    host: &'a HostClient,
    repository: &'a str,
}

impl<'a> RepositoryHeads<'a> {
    pub(crate) fn new(host: &'a HostClient, repository: &'a str) -> Self {
        Self { host, repository }
    }

    /// Whether the repository is asked by GET at once.
    pub(crate) fn is_skipped(&self) -> bool {
        self.support(|heads| heads.is_skipped(self.repository))
    }

    /// HEAD was of use.
    pub(crate) fn work(&self) {
        self.support(|heads| heads.works(self.repository));
    }

    /// GET has reported what HEAD has not.
    pub(crate) fn are_useless(&self) {
        let may_skip = !counts_as_pull(&self.host.origin);
        self.support(|heads| heads.is_useless(self.repository, may_skip));
    }

    fn support<T>(&self, use_of: impl FnOnce(&mut HeadSupport) -> T) -> T {
        use_of(&mut ManifestState::of(self.host).lock().heads)
    }
}

impl HeadFallback for RepositoryHeads<'_> {
    fn wants_get(&self, failure: &Response) -> bool {
        self.support(|heads| heads.may_know_more(self.repository, failure.status))
    }

    fn max_bytes(&self) -> usize {
        content::MAX_BYTES
    }

    fn choose(&self, head: Response, get: Option<Response>) -> (Response, Operation) {
        match get {
            Some(get) if get.status.is_success() => {
                self.are_useless();
                (get, Operation::Get)
            }
            get => {
                self.support(|heads| heads.asked_in_vain(self.repository));
                match get.filter(|get| get.status == head.status) {
                    Some(get) => (get, Operation::Get),
                    None => (head, Operation::Head),
                }
            }
        }
    }
}

/// Whether a registry counts each GET of a manifest as a pull, and no HEAD
/// (<https://docs.docker.com/docker-hub/usage/pulls/>).
pub(crate) fn counts_as_pull(registry: &Origin) -> bool {
    registry.host == "registry-1.docker.io"
}
