//! Artifactory's native URLs.

use std::time::Duration;

use http::{Uri, uri::PathAndQuery};
use lru::LruCache;

use super::url::ObjectUrl;
use crate::cache::{Expiring, MAX_REPOSITORIES, bounded};

/// How long the layout of a repository is remembered.
const TTL: Duration = Duration::from_secs(60 * 60);

/// Where a host has its manifests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Layout {
    /// Under `/v2/`, as in the distribution specification.
    Standard,
    /// Under `/artifactory/api/docker/<repository key>/v2/`.
    Native,
}

impl Layout {
    pub(crate) fn other(self) -> Self {
        match self {
            Self::Standard => Self::Native,
            Self::Native => Self::Standard,
        }
    }
}

/// The layouts of one host. A proxy may rewrite the URLs of some repositories only.
pub(crate) struct Layouts {
    /// That of the last repository, which is tried first.
    last: Layout,
    repositories: LruCache<String, Expiring<Layout>>,
}

impl Layouts {
    /// The layout to try first for a repository, and whether it is known.
    pub(crate) fn get(&mut self, repository: &str) -> (Layout, bool) {
        let known = self.repositories.get(repository).and_then(Expiring::get);
        known.map_or((self.last, false), |layout| (*layout, true))
    }

    /// Remembers where a manifest of a repository was found. An entry is not renewed, so that a change is noticed.
    pub(crate) fn put(&mut self, repository: &str, layout: Layout) {
        self.last = layout;
        if self.get(repository) != (layout, true) {
            let entry = Expiring::new(layout, TTL);
            self.repositories.put(repository.to_owned(), entry);
        }
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

/// The same manifest at its native URL: the first component of the repository is Artifactory's key, the others are the
/// image (<https://jfrog.com/help/r/jfrog-artifactory-documentation/docker-repository-url-formats>).
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
    use oci_spec::distribution::Reference;

    use super::*;
    use crate::manifest::url::Object;

    fn url(reference: &Reference) -> ObjectUrl {
        let object = Object::of(reference).expect("a tag");
        ObjectUrl::new(reference, object, false).expect("a URL")
    }

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
            let url = url(&reference);
            let native = native(&url).expect("a native URL");
            assert_eq!(native.uri.to_string(), format!("{base}/{expected}"));
            assert_eq!(native.full_name, url.full_name);
        }
        let reference = "jfrog.example/web:1".parse().expect("a reference");
        let url = url(&reference);
        assert!(native(&url).is_none(), "a key without an image");
    }
}
