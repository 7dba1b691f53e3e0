//! Whether one repository is asked by HEAD, and by GET after it.

use super::{head_support::HeadSupport, state::ManifestState};
use crate::{
    auth::HeadFallback,
    http::{HostClient, Response},
    observer::Operation,
    origin::Origin,
};

/// The answers of one repository to HEAD.
pub(crate) struct RepositoryHeads<'a> {
    pub(crate) host: &'a HostClient,
    pub(crate) repository: &'a str,
}

impl RepositoryHeads<'_> {
    /// What is known of them is used.
    pub(crate) fn support<T>(&self, use_of: impl FnOnce(&mut HeadSupport, &str) -> T) -> T {
        use_of(
            &mut ManifestState::of(self.host).lock().heads,
            self.repository,
        )
    }

    /// GET has reported what HEAD has not.
    pub(crate) fn are_useless(&self) {
        let may_skip = !counts_as_pull(&self.host.origin);
        self.support(|heads, repository| heads.is_useless(repository, may_skip));
    }
}

impl HeadFallback for RepositoryHeads<'_> {
    fn wants_get(&self, failure: &Response) -> bool {
        self.support(|heads, repository| heads.may_know_more(repository, failure.status))
    }

    fn choose(&self, head: Response, get: Option<Response>) -> (Response, Operation) {
        match get {
            Some(get) if get.status.is_success() => {
                self.are_useless();
                (get, Operation::Get)
            }
            get => {
                self.support(HeadSupport::asked_in_vain);
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
