//! Forged responses to requests for manifests.

use bytes::Bytes;
use http::{
    HeaderValue, Method, Response,
    header::{CONTENT_LENGTH, CONTENT_TYPE, ETAG},
};
use http_body_util::Full;

use crate::{image::digest_of, relay::DIGEST};

/// A media type that no manifest has.
const NO_MANIFEST: &str = "application/vnd.example.recipe+json";

/// The response of a failing gateway, or of a login page.
const PAGE: &str = "<html><body>Sign in</body></html>";

/// A forgery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Forgery {
    /// A digest that the registry does not have.
    Digest,
    /// Bytes that do not match the digest.
    Content,
    /// Half of the bytes.
    Truncated,
    /// A media type that is none of a manifest.
    MediaType,
    /// A web page.
    Page,
}

impl Forgery {
    /// Whether the response lacks the true digest of a tag.
    pub(super) const fn hides_digest(self) -> bool {
        matches!(self, Self::Digest | Self::Page)
    }

    /// Forges the response to a request for the tag or digest `reference`.
    pub(super) fn forge(
        self,
        method: &Method,
        reference: &str,
        response: Response<Bytes>,
    ) -> Response<Full<Bytes>> {
        let (mut head, bytes) = response.into_parts();
        let other = |bytes: Bytes| match *method {
            Method::GET => Full::new(bytes),
            _ => Full::default(),
        };
        let body = match self {
            Self::Digest => {
                let digest = digest_of(format!("no {reference}").as_bytes()).to_string();
                if let (Ok(digest), Ok(tag)) = (
                    HeaderValue::from_str(&digest),
                    HeaderValue::from_str(&format!("\"{digest}\"")),
                ) {
                    head.headers.insert(DIGEST, digest);
                    head.headers.insert(ETAG, tag);
                }
                Full::new(bytes)
            }
            Self::Content => other([bytes.as_ref(), b" "].concat().into()),
            Self::Truncated => other(bytes.slice(..bytes.len() / 2)),
            Self::MediaType => {
                let media_type = HeaderValue::from_static(NO_MANIFEST);
                head.headers.insert(CONTENT_TYPE, media_type);
                Full::new(bytes)
            }
            Self::Page => {
                head.headers.remove(DIGEST);
                head.headers.remove(ETAG);
                let media_type = HeaderValue::from_static("text/html");
                head.headers.insert(CONTENT_TYPE, media_type);
                other(Bytes::from_static(PAGE.as_bytes()))
            }
        };
        if *method == Method::GET {
            head.headers.remove(CONTENT_LENGTH); // hyper sets that of the forged body
        }
        Response::from_parts(head, body)
    }
}
