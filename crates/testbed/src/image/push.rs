//! Uploads, as the distribution specification has them
//! (<https://github.com/opencontainers/distribution-spec/blob/main/spec.md#push>).

use bytes::Bytes;
use http::{
    Method, StatusCode,
    header::{CONTENT_TYPE, LOCATION},
};
use oci_spec::image::Digest;

use super::{
    Content, Document,
    access::RegistryAccess,
    digest_of,
    error::RequestError,
    request::{Client, Session},
};

/// The `User-Agent` of every push.
const USER_AGENT: &str = "testbed-push";

/// Puts images into a registry.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use kube_autorollout_testbed::image::{Image, Pusher};
///
/// let pusher = Pusher::new("127.0.0.1:5000")?;
/// let digest = pusher.push(&Image::new("v1"), "web", "stable").await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Pusher {
    client: Client,
}

impl Pusher {
    /// A pusher to one registry: a host alone means plain HTTP without credentials.
    ///
    /// # Errors
    ///
    /// [`RequestError::Certificate`] when the CA certificate cannot be read.
    pub fn new(registry: impl Into<RegistryAccess>) -> Result<Self, RequestError> {
        Client::new(registry.into(), USER_AGENT).map(|client| Self { client })
    }

    /// Uploads an image or index with all that it refers to, and puts `tag` on it.
    ///
    /// # Errors
    ///
    /// [`RequestError`] of the first request that the registry did not carry out.
    pub async fn push(
        &self,
        content: &(impl Content + Sync + ?Sized),
        repository: &str,
        tag: &str,
    ) -> Result<Digest, RequestError> {
        let mut session = self.client.session();
        for blob in content.blobs() {
            push_blob(&mut session, repository, blob).await?;
        }
        for child in content.children() {
            let digest = digest_of(&child.body);
            put_manifest(&mut session, repository, digest.as_ref(), child).await?;
        }
        put_manifest(&mut session, repository, tag, content.root()).await?;
        Ok(content.root_digest())
    }
}

async fn push_blob(
    session: &mut Session<'_>,
    repository: &str,
    blob: Vec<u8>,
) -> Result<(), RequestError> {
    let digest = digest_of(&blob);
    let target = format!("/v2/{repository}/blobs/{digest}");
    let present = session
        .request(&Method::HEAD, &target, &[], Bytes::new())
        .await?;
    if present.status == StatusCode::OK {
        return Ok(());
    }
    let target = format!("/v2/{repository}/blobs/uploads/");
    let started = session
        .request(&Method::POST, &target, &[], Bytes::new())
        .await?;
    let location = started
        .headers
        .get(LOCATION)
        .and_then(|location| location.to_str().ok());
    let (StatusCode::ACCEPTED, Some(location)) = (started.status, location) else {
        return Err(session.unexpected(&Method::POST, &target, &started));
    };
    let separator = if location.contains('?') { '&' } else { '?' };
    let target = format!("{location}{separator}digest={digest}");
    let content_type = [(CONTENT_TYPE, "application/octet-stream")];
    let stored = session
        .request(&Method::PUT, &target, &content_type, blob.into())
        .await?;
    match stored.status {
        StatusCode::CREATED => Ok(()),
        _ => Err(session.unexpected(&Method::PUT, &target, &stored)),
    }
}

async fn put_manifest(
    session: &mut Session<'_>,
    repository: &str,
    reference: &str,
    document: Document,
) -> Result<(), RequestError> {
    let target = format!("/v2/{repository}/manifests/{reference}");
    let content_type = [(CONTENT_TYPE, document.media_type)];
    let stored = session
        .request(&Method::PUT, &target, &content_type, document.body.into())
        .await?;
    match stored.status {
        StatusCode::CREATED => Ok(()),
        _ => Err(session.unexpected(&Method::PUT, &target, &stored)),
    }
}
