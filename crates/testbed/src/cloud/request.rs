//! Requests to the clouds.

use bytes::Bytes;
use http::{HeaderMap, Method};

use crate::server;

/// How a request was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Via {
    /// Through a tunnel of the proxy, with TLS.
    Tunnel,
    /// To the proxy, to be forwarded.
    Forward,
    /// To the address of metadata servers.
    Local,
}

/// A step on the way to a credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// STS: keys in exchange for the token of a `ServiceAccount`.
    AssumeRoleWithWebIdentity,
    /// STS: keys of another role.
    AssumeRole,
    /// STS: the identity behind keys.
    GetCallerIdentity,
    /// The agent of EKS Pod Identity.
    PodIdentity,
    /// The password of private registries of ECR.
    EcrToken,
    /// The same for the public gallery.
    EcrPublicToken,
    /// Entra ID.
    Entra,
    /// ACR's refresh token.
    AcrExchange,
    /// ACR's access token.
    AcrToken,
    /// Google's metadata server: a token.
    Metadata,
    /// The same: the service account of the token.
    MetadataEmail,
    /// The source of a subject token at a URL.
    SubjectToken,
    /// Google's STS.
    GoogleSts,
    /// Google's IAM credentials.
    Impersonation,
    /// The token server of Google's registries, or of ECR's public gallery.
    RegistryToken,
}

/// A request, on record.
#[derive(Debug, Clone)]
pub struct RecordedRequest {
    /// How it was sent.
    pub via: Via,
    /// The host, with its port where that is not the default one.
    pub host: String,
    /// The path and the query.
    pub target: String,
    /// The step, if it is one.
    pub step: Option<Step>,
    /// The status of the response; 0 without one.
    pub status: u16,
    /// Whether it held a secret.
    pub has_secret: bool,
}

/// A request, as the endpoints read it.
pub(super) struct Request {
    pub(super) via: Via,
    pub(super) host: String,
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) query: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Request {
    /// The text of a header, empty where there is none.
    pub(super) fn header(&self, name: &str) -> &str {
        server::header(&self.headers, name)
    }

    /// The value of a field of its form, empty where there is none.
    pub(super) fn field(&self, name: &str) -> String {
        let mut fields = form_urlencoded::parse(&self.body);
        let field = fields.find(|(key, _)| key == name);
        field.map_or_else(String::new, |(_, value)| value.into_owned())
    }

    /// The fields of its form, in order.
    pub(super) fn form(&self) -> Vec<(String, String)> {
        let fields = form_urlencoded::parse(&self.body);
        fields
            .map(|(name, value)| (name.into_owned(), value.into_owned()))
            .collect()
    }

    /// Everything that it holds, to search for secrets.
    pub(super) fn text(&self) -> String {
        let headers = self.headers.values();
        let headers = headers.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
        let mut parts = vec![self.path.clone(), self.query.clone()];
        parts.extend(headers);
        parts.push(String::from_utf8_lossy(&self.body).into_owned());
        parts.join("\n")
    }
}
