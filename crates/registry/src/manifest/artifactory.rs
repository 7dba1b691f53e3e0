//! Artifactory's native address.

use std::time::Duration;

use http::{Uri, uri::PathAndQuery};
use lru::LruCache;
use tokio::time::Instant;

use super::url::ObjectUrl;
use crate::cache::{MAX_REPOSITORIES, bounded};

/// For how long there is no doubt about where a repository has its manifests.
const SURE: Duration = Duration::from_secs(60 * 60);

/// Where a host has its manifests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Layout {
    /// Under `/v2/`, as the distribution specification has it.
    Standard,
    /// Under `/artifactory/api/docker/<repository key>/v2/`.
    Native,
}

impl Layout {
    /// The one that is left if this one is wrong.
    pub(crate) fn other(self) -> Self {
        match self {
            Self::Standard => Self::Native,
            Self::Native => Self::Standard,
        }
    }
}

/// Where a host was found to have its manifests. A proxy may rewrite the addresses of some repositories only.
pub(crate) struct Layouts {
    /// That of the last repository, which is tried first.
    last: Layout,
    repositories: LruCache<String, (Layout, Instant)>,
}

impl Layouts {
    /// The layout to try first for a repository, and whether that is certain.
    pub(crate) fn get(&mut self, repository: &str) -> (Layout, bool) {
        self.known(repository)
            .map_or((self.last, false), |layout| (layout, true))
    }

    /// A manifest of a repository was found.
    pub(crate) fn learn(&mut self, repository: &str, layout: Layout) {
        self.last = layout;
        // It is not renewed with each that is found: a change shows when the hour is over.
        if self.known(repository) != Some(layout) {
            let found = (layout, Instant::now());
            self.repositories.put(repository.to_owned(), found);
        }
    }

    fn known(&mut self, repository: &str) -> Option<Layout> {
        let (layout, found) = self.repositories.get(repository)?;
        (found.elapsed() < SURE).then_some(*layout)
    }
}

impl Default for Layouts {
    fn default() -> Self {
        Self {
            last: Layout::Standard,
            repositories: bounded(MAX_REPOSITORIES),
        }
    }
}

/// The same manifest at the native address: the first component of the repository is Artifactory's key, all others are
/// the image (<https://jfrog.com/help/r/jfrog-artifactory-documentation/docker-repository-url-formats>).
pub(crate) fn native(url: &ObjectUrl) -> Option<ObjectUrl> {
    let (key, image) = url.name.split_once('/')?;
    let path = format!(
        "/artifactory/api/docker/{key}/v2/{image}/{}",
        url.object.path()
    );
    let mut parts = url.uri.clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::try_from(path).ok()?);
    Some(ObjectUrl {
        name: image.to_owned(),
        uri: Uri::from_parts(parts).ok()?,
        ..url.clone()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_component_is_the_key_and_all_others_are_the_image() {
        let base = "https://jfrog.example/artifactory/api/docker";
        let cases = [
            ("docker-local/web:1", "docker-local/v2/web/manifests/1"),
            (
                "docker-local/team/sub/web:1",
                "docker-local/v2/team/sub/web/manifests/1",
            ),
        ];
        for (image, expected) in cases {
            let reference = format!("jfrog.example/{image}")
                .parse()
                .expect("a reference");
            let url = ObjectUrl::of(&reference, false).expect("a url");
            let native = native(&url).expect("a native address");
            assert_eq!(native.uri.to_string(), format!("{base}/{expected}"));
            assert_eq!(native.repository, url.repository);
        }
        let reference = "jfrog.example/web:1".parse().expect("a reference");
        let url = ObjectUrl::of(&reference, false).expect("a url");
        assert!(native(&url).is_none(), "a key without an image");
    }
}
