//! What proxies in front of a registry have in common: they forward requests to it over plain HTTP.

use bytes::Bytes;
use http::{Request, Response, Uri, header::HeaderName, request::Parts};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Body;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};

use crate::server::NoResponse;

/// The header with the digest of a manifest.
pub(crate) const DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");

/// The registry behind a proxy.
#[derive(Debug)]
pub(crate) struct Upstream {
    registry: String,
    client: Client<HttpConnector, Full<Bytes>>,
}

impl Upstream {
    pub(crate) fn new(registry: &str) -> Self {
        Self {
            registry: registry.to_owned(),
            client: Client::builder(TokioExecutor::new()).build_http(),
        }
    }

    /// The registry's response to a request with this path and query.
    pub(crate) async fn send(
        &self,
        head: Parts,
        body: impl Body,
        target: &str,
    ) -> Result<Response<Bytes>, NoResponse> {
        let body = body.collect().await.map_err(|_| NoResponse)?.to_bytes();
        let uri: Result<Uri, _> = format!("http://{}{target}", self.registry).parse();
        let mut request = Request::from_parts(head, Full::new(body));
        *request.uri_mut() = uri.map_err(|_| NoResponse)?;
        let response = self.client.request(request).await.map_err(|_| NoResponse)?;
        let (head, body) = response.into_parts();
        let body = body.collect().await.map_err(|_| NoResponse)?.to_bytes();
        Ok(Response::from_parts(head, body))
    }
}

/// The path and query of a request.
pub(crate) fn target(head: &Parts) -> &str {
    let target = head.uri.path_and_query();
    target.map_or("/", |target| target.as_str())
}

/// The repository and the tag or digest in the path of a manifest.
pub(crate) fn manifest(path: &str) -> Option<(&str, &str)> {
    path.strip_prefix("/v2/")?.split_once("/manifests/")
}

/// Whether the last part of a manifest's path is a digest and not a tag.
pub(crate) fn is_digest(reference: &str) -> bool {
    reference.contains(':')
}
