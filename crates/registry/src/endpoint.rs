//! Servers that replace the host of a registry: mirrors, proxy caches, addresses inside the cluster.

use std::{fmt, str::FromStr};

use http::Uri;
use oci_spec::distribution::Reference;

use crate::{origin::Origin, reference::is_repository};

/// The URL of a server that replaces a registry's own host: scheme, host, optional port and path.
///
/// Manifests of `docker.io/library/web:main` are requested at `https://harbor.corp/v2/docker-hub/library/web/manifests/main?ns=docker.io`
/// if the endpoint of `docker.io` is `https://harbor.corp/docker-hub`: the path goes between `/v2/` and the repository, and
/// `ns` is the registry that the reference names, as [containerd](https://github.com/containerd/containerd/blob/main/docs/hosts.md)
/// asks mirrors.
///
/// ```
/// use kube_autorollout_registry::Endpoint;
///
/// let endpoint: Endpoint = "https://harbor.corp/docker-hub".parse()?;
/// let image = "docker.io/library/web:main".parse()?;
/// assert_eq!(endpoint.locate(&image).whole(), "harbor.corp/docker-hub/library/web:main");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    secure: bool,
    /// `host` or `host:port`, in lower case.
    host: String,
    /// Without slashes at its ends.
    path: String,
}

/// An invalid endpoint. The message does not repeat it, as it may contain a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EndpointError {
    /// It is not an `http` or `https` URL with a host.
    #[error("a text that is no http or https URL")]
    NotAUrl,
    /// It has a user name or password.
    #[error("a URL with a user name or password, which belong into the credentials")]
    UserInformation,
    /// It has a query.
    #[error("a URL with a query")]
    Query,
    /// It has a fragment.
    #[error("a URL with a fragment")]
    Fragment,
    /// The path starts with the version of the API.
    #[error(
        "a URL with /v2 in its path, which is put in front of the path when the registry is asked"
    )]
    ApiVersion,
    /// The path is not a valid prefix of a repository.
    #[error("a URL whose path is not made of lower-case letters, digits, '.', '_' and '-'")]
    Path,
}

impl Endpoint {
    /// The reference of an image of the registry at the endpoint.
    pub fn locate(&self, image: &Reference) -> Reference {
        let (registry, repository) = (self.host.clone(), self.repository(image.repository()));
        let tag = image.tag().map(str::to_owned);
        match (tag, image.digest().map(str::to_owned)) {
            (Some(tag), Some(digest)) => {
                Reference::with_tag_and_digest(registry, repository, tag, digest)
            }
            (None, Some(digest)) => Reference::with_digest(registry, repository, digest),
            (tag, None) => {
                let tag = tag.unwrap_or_else(|| "latest".to_owned());
                Reference::with_tag(registry, repository, tag)
            }
        }
    }

    /// The name of a repository of the registry at the endpoint.
    pub(crate) fn repository(&self, repository: &str) -> String {
        if self.path.is_empty() {
            repository.to_owned()
        } else {
            format!("{}/{repository}", self.path)
        }
    }

    /// Its host: `host` or `host:port`.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Scheme and host, without the path.
    pub fn origin(&self) -> String {
        format!("{}://{}", self.scheme(), self.host)
    }

    fn scheme(&self) -> &'static str {
        if self.secure { "https" } else { "http" }
    }
}

impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // The parser drops fragments.
        if text.contains('#') {
            return Err(EndpointError::Fragment);
        }
        let uri: Uri = text.parse().map_err(|_| EndpointError::NotAUrl)?;
        let authority = uri.authority().ok_or(EndpointError::NotAUrl)?;
        if authority.as_str().contains('@') {
            return Err(EndpointError::UserInformation);
        }
        let origin = Origin::of(&uri).ok_or(EndpointError::NotAUrl)?;
        if uri.query().is_some() {
            return Err(EndpointError::Query);
        }
        let path = uri.path().trim_matches('/');
        if path.split('/').next() == Some("v2") {
            return Err(EndpointError::ApiVersion);
        }
        if !path.is_empty() && !is_repository(path) {
            return Err(EndpointError::Path);
        }
        Ok(Self {
            secure: origin.secure,
            host: origin.to_string(),
            path: path.to_owned(),
        })
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.origin())?;
        if self.path.is_empty() {
            return Ok(());
        }
        write!(formatter, "/{}", self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_urls_with_an_optional_port_and_path() {
        let cases = [
            (
                "https://harbor.corp/docker-hub",
                "https://harbor.corp/docker-hub",
            ),
            ("https://Harbor.corp:443/", "https://harbor.corp"),
            (
                "http://registry.registry.svc:5000",
                "http://registry.registry.svc:5000",
            ),
            ("http://a:80/b/c_d/", "http://a/b/c_d"),
            ("https://[fd00::10]:5000/x", "https://[fd00::10]:5000/x"),
        ];
        for (text, shown) in cases {
            let endpoint: Endpoint = text.parse().expect(text);
            assert_eq!(endpoint.to_string(), shown);
            assert_eq!(shown.parse(), Ok(endpoint));
        }
    }

    #[test]
    fn invalid_endpoints_are_refused_with_a_reason() {
        let cases = [
            ("", EndpointError::NotAUrl),
            ("harbor.corp", EndpointError::NotAUrl),
            ("harbor.corp/docker-hub", EndpointError::NotAUrl),
            ("ftp://harbor.corp", EndpointError::NotAUrl),
            ("https://", EndpointError::NotAUrl),
            (
                "https://user:planted@harbor.corp",
                EndpointError::UserInformation,
            ),
            ("https://harbor.corp/a?ns=docker.io", EndpointError::Query),
            ("https://harbor.corp/a#b", EndpointError::Fragment),
            (
                "https://harbor.corp/v2/docker-hub",
                EndpointError::ApiVersion,
            ),
            ("https://harbor.corp/v2", EndpointError::ApiVersion),
            ("https://harbor.corp/Docker", EndpointError::Path),
            ("https://harbor.corp/a//b", EndpointError::Path),
            ("https://harbor.corp/../b", EndpointError::Path),
            ("https://harbor.corp/%2e", EndpointError::Path),
        ];
        for (text, error) in cases {
            assert_eq!(text.parse::<Endpoint>(), Err(error), "{text}");
            assert!(!error.to_string().contains("planted"));
        }
    }

    #[test]
    fn an_image_keeps_its_tag_and_digest_at_an_endpoint() {
        let digest = format!("sha256:{}", "a".repeat(64));
        let endpoint: Endpoint = "https://harbor.corp/hub".parse().expect("an endpoint");
        let plain: Endpoint = "http://mirror:5000".parse().expect("an endpoint");
        let cases = [
            (
                "web".to_owned(),
                "harbor.corp/hub/library/web:latest",
                "mirror:5000/library/web:latest",
            ),
            (
                format!("a/web@{digest}"),
                &*format!("harbor.corp/hub/a/web@{digest}"),
                &*format!("mirror:5000/a/web@{digest}"),
            ),
        ];
        for (image, below, at_the_root) in cases {
            let image: Reference = image.parse().expect("a reference");
            assert_eq!(endpoint.locate(&image).whole(), below);
            assert_eq!(plain.locate(&image).whole(), at_the_root);
        }
    }
}
