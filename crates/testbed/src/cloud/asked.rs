//! What was asked of the clouds.

use bytes::Bytes;
use http::{HeaderMap, Method};

/// On which way a request came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Via {
    /// Through a tunnel of the proxy, with TLS.
    Tunnel,
    /// To the proxy, which was to forward it.
    Forward,
    /// To the address of metadata servers.
    Local,
}

/// A step on the way to a credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// STS: keys for the token of a `ServiceAccount`.
    AssumeRoleWithWebIdentity,
    /// STS: keys of another role.
    AssumeRole,
    /// STS: whose keys they are.
    GetCallerIdentity,
    /// The agent of EKS Pod Identity.
    PodIdentity,
    /// The password of private registries of ECR.
    EcrToken,
    /// The same of the public gallery.
    EcrPublicToken,
    /// Entra ID.
    Entra,
    /// ACR's refresh token.
    AcrExchange,
    /// ACR's access token.
    AcrToken,
    /// Google's metadata server: a token.
    Metadata,
    /// The same: whose token it is.
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

/// A request.
#[derive(Debug, Clone)]
pub struct Asked {
    /// On which way it came.
    pub via: Via,
    /// The host that was asked for, with its port where that is not the usual one.
    pub host: String,
    /// The path and the query.
    pub target: String,
    /// The step that it is.
    pub step: Option<Step>,
    /// What was answered; 0 where nothing was.
    pub status: u16,
    /// Whether it carried anything secret.
    pub has_secret: bool,
}

/// A request as the endpoints read it.
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
        let value = self.headers.get(name);
        value
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }

    /// The fields of its form, as text in order.
    pub(super) fn form(&self) -> Vec<(String, String)> {
        let fields = form_urlencoded::parse(&self.body);
        fields
            .map(|(name, value)| (name.into_owned(), value.into_owned()))
            .collect()
    }

    /// Everything that it says, to search for secrets.
    pub(super) fn text(&self) -> String {
        let headers = self.headers.values();
        let headers = headers.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
        let mut parts = vec![self.path.clone(), self.query.clone()];
        parts.extend(headers);
        parts.push(String::from_utf8_lossy(&self.body).into_owned());
        parts.join("\n")
    }
}
