//! From a reference to the URL of its manifest, or of a blob in its repository.

use std::fmt;

use http::{
    Uri,
    uri::{Authority, Scheme},
};
use oci_spec::{distribution::Reference, image::Digest};
use url::form_urlencoded::byte_serialize;

use crate::{
    auth::{Resource, Subject},
    endpoint::Endpoint,
    error::repr::Repr,
    origin::Origin,
    reference::{is_repository, is_tag},
};

/// The object that is requested from a repository.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Object {
    /// A manifest, by a tag.
    Tag(String),
    /// A manifest.
    Digest(Digest),
    /// Content that a manifest references.
    Blob(Digest),
}

impl Object {
    /// The object that a reference names; a digest wins over a tag, as in every runtime.
    pub(crate) fn of(reference: &Reference) -> Result<Self, Repr> {
        match (reference.digest(), reference.tag()) {
            (Some(digest), _) => {
                let digest = digest.parse();
                let digest = digest.map_err(|_| Repr::InvalidReference("a malformed digest"))?;
                Ok(Self::Digest(digest))
            }
            (None, Some(tag)) => Ok(Self::Tag(tag.to_owned())),
            (None, None) => Err(Repr::InvalidReference("neither tag nor digest")),
        }
    }

    /// Its path after the repository
    /// (<https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#endpoints>).
    pub(crate) fn path(&self) -> String {
        let kind = match self {
            Self::Tag(_) | Self::Digest(_) => "manifests",
            Self::Blob(_) => "blobs",
        };
        format!("{kind}/{self}")
    }
}

impl fmt::Display for Object {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tag(tag) => formatter.write_str(tag),
            Self::Digest(digest) | Self::Blob(digest) => digest.fmt(formatter),
        }
    }
}

/// A manifest or blob in a repository of a registry.
#[derive(Debug, Clone)]
pub(crate) struct ObjectUrl {
    /// The registry as the reference names it.
    pub(crate) registry: String,
    pub(crate) repository: String,
    /// The registry and the repository.
    pub(crate) full_name: String,
    /// The name of the repository at the host, as in scopes.
    pub(crate) name: String,
    pub(crate) object: Object,
    pub(crate) origin: Origin,
    pub(crate) uri: Uri,
}

impl ObjectUrl {
    /// The URL of an object in a reference's repository. References can be built without being parsed, so all parts are
    /// validated.
    pub(crate) fn new(
        reference: &Reference,
        object: Object,
        plain_http: bool,
    ) -> Result<Self, Repr> {
        let repository = reference.repository();
        if !is_repository(repository) {
            return Err(Repr::InvalidReference("a malformed repository"));
        }
        if matches!(&object, Object::Tag(tag) if !is_tag(tag)) {
            return Err(Repr::InvalidReference("a malformed tag"));
        }
        let registry = reference.registry().to_ascii_lowercase();
        // Docker Hub's registry has another host than its references name.
        let host = match registry.as_str() {
            "docker.io" | "index.docker.io" => "registry-1.docker.io",
            host => host,
        };
        let malformed = || Repr::InvalidReference("a malformed registry host");
        let authority: Authority = host.parse().map_err(|_| malformed())?;
        let uri = Uri::builder()
            .scheme(if plain_http {
                Scheme::HTTP
            } else {
                Scheme::HTTPS
            })
            .authority(authority)
            .path_and_query(format!("/v2/{repository}/{}", object.path()))
            .build()
            .map_err(|_| malformed())?;
        Ok(Self {
            origin: Origin::of(&uri).ok_or_else(malformed)?,
            full_name: format!("{registry}/{repository}"),
            registry,
            repository: repository.to_owned(),
            name: repository.to_owned(),
            object,
            uri,
        })
    }

    /// The base of the registry's API: `/v2/`, before the repository.
    fn base(&self) -> Uri {
        let path = self.uri.path();
        let end = path.find("/v2/").map_or(0, |start| start.saturating_add(4));
        let mut parts = self.uri.clone().into_parts();
        parts.path_and_query = path.get(..end).and_then(|base| base.parse().ok());
        Uri::from_parts(parts).unwrap_or_else(|_| self.uri.clone())
    }

    /// The same object at the endpoint that replaces its registry.
    pub(crate) fn at(self, endpoint: &Endpoint) -> Result<Self, Repr> {
        let name = endpoint.repository(&self.repository);
        let base = endpoint.origin();
        let mut address = format!("{base}/v2/{name}/{}", self.object.path());
        let malformed = || Repr::InvalidReference("a malformed registry host");
        // A mirror serves several registries; the registry itself needs no `ns`.
        if !base.ends_with(&format!("//{}", self.origin)) {
            let registry: String = byte_serialize(self.registry.as_bytes()).collect();
            address = format!("{address}?ns={registry}");
        }
        let uri: Uri = address.parse().map_err(|_| malformed())?;
        Ok(Self {
            origin: Origin::of(&uri).ok_or_else(malformed)?,
            name,
            uri,
            ..self
        })
    }

    /// The resource that a request for it needs access to.
    pub(crate) fn resource(&self) -> Resource {
        Resource {
            repository: self.repository.clone(),
            full_name: self.full_name.clone(),
            scope: format!("repository:{}:pull", self.name),
            base: self.base(),
            subject: match self.object {
                Object::Tag(_) => Subject::Repository,
                Object::Digest(_) | Object::Blob(_) => Subject::Manifest,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(reference: &Reference, plain_http: bool) -> Result<ObjectUrl, Repr> {
        ObjectUrl::new(reference, Object::of(reference)?, plain_http)
    }

    const HEX: &str = "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff";

    #[test]
    fn references_map_to_the_urls_of_their_manifests() {
        let digest = format!("sha256:{HEX}");
        let cases = [
            (
                "nginx".to_owned(),
                false,
                "https://registry-1.docker.io/v2/library/nginx/manifests/latest".to_owned(),
            ),
            (
                "index.docker.io/acme/web:1".to_owned(),
                false,
                "https://registry-1.docker.io/v2/acme/web/manifests/1".to_owned(),
            ),
            (
                "ghcr.io/a/b/c:v1.0_x-y".to_owned(),
                false,
                "https://ghcr.io/v2/a/b/c/manifests/v1.0_x-y".to_owned(),
            ),
            (
                "localhost:5000/web".to_owned(),
                true,
                "http://localhost:5000/v2/web/manifests/latest".to_owned(),
            ),
            (
                format!("ghcr.io/a/b:tag@{digest}"),
                false,
                format!("https://ghcr.io/v2/a/b/manifests/{digest}"),
            ),
        ];
        for (text, plain_http, expected) in cases {
            let reference: Reference = text.parse().expect("a reference");
            let target = url(&reference, plain_http).expect("a target");
            assert_eq!(target.uri.to_string(), expected, "{text}");
        }
    }

    #[test]
    fn an_endpoint_replaces_the_registry() {
        let digest = format!("sha256:{HEX}");
        let cases = [
            (
                "library/web:main".to_owned(),
                "https://harbor.corp/docker-hub",
                "https://harbor.corp/v2/docker-hub/library/web/manifests/main?ns=docker.io"
                    .to_owned(),
                "repository:docker-hub/library/web:pull",
            ),
            (
                "localhost:32000/app".to_owned(),
                "http://registry.registry.svc:5000",
                "http://registry.registry.svc:5000/v2/app/manifests/latest?ns=localhost%3A32000"
                    .to_owned(),
                "repository:app:pull",
            ),
            (
                format!("ghcr.io/a/b@{digest}"),
                "http://ghcr.io",
                format!("http://ghcr.io/v2/a/b/manifests/{digest}"),
                "repository:a/b:pull",
            ),
            (
                "library/web:main".to_owned(),
                "https://registry-1.docker.io",
                "https://registry-1.docker.io/v2/library/web/manifests/main".to_owned(),
                "repository:library/web:pull",
            ),
        ];
        for (image, endpoint, expected, scope) in cases {
            let reference: Reference = image.parse().expect("a reference");
            let target = url(&reference, false).expect("a target");
            let (registry, repository) = (target.registry.clone(), target.repository.clone());
            let target = target.at(&endpoint.parse().expect("an endpoint"));
            let target = target.expect("a target");
            assert_eq!(target.uri.to_string(), expected);
            let resource = target.resource();
            assert_eq!(resource.scope, scope);
            assert_eq!(resource.full_name, format!("{registry}/{repository}"));
            assert_eq!((target.registry, target.repository), (registry, repository));
        }
    }

    #[test]
    fn an_ipv6_address_keeps_its_brackets() {
        for (registry, plain_http, expected) in [
            ("[fd00::10]", false, "https://[fd00::10]/v2/web/manifests/1"),
            (
                "[FD00::10]:5000",
                true,
                "http://[fd00::10]:5000/v2/web/manifests/1",
            ),
        ] {
            let reference =
                Reference::with_tag(registry.to_owned(), "web".to_owned(), "1".to_owned());
            let target = url(&reference, plain_http).expect("a target");
            assert_eq!(target.uri.to_string(), expected);
            assert_eq!(target.origin.to_string(), registry.to_lowercase());
        }
    }

    #[test]
    fn parts_that_would_change_the_url_are_refused() {
        let cases = [
            ("ghcr.io", "a/../../admin", "1"),
            ("ghcr.io", "a//b", "1"),
            ("ghcr.io", "", "1"),
            ("ghcr.io", "a", "1?x=y"),
            ("ghcr.io", "a", "../../x"),
            ("ghcr.io", "a", "ümlaut"),
            ("ghcr.io", "a", ""),
            ("user@ghcr.io", "a", "1"),
            ("ghcr.io/x", "a", "1"),
            ("", "a", "1"),
        ];
        for (registry, repository, tag) in cases {
            let reference =
                Reference::with_tag(registry.to_owned(), repository.to_owned(), tag.to_owned());
            let repr = url(&reference, false).expect_err(repository);
            assert!(
                matches!(repr, Repr::InvalidReference(_)),
                "{registry}/{repository}:{tag}: {repr}"
            );
        }
    }
}
