//! Google Cloud: the pod's service account, or a federated identity.

mod external_account;
mod metadata;

use kube_autorollout_registry::Credential;

use crate::{environment::Environment, failure::Failure, grant::Grant, http::Http};

/// The user name under which access tokens are passwords:
/// <https://cloud.google.com/artifact-registry/docs/docker/authentication#token>.
const USER: &str = "oauth2accesstoken";

/// The scope of tokens. The role of the account limits their permissions.
const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";

/// Whether a host is a registry of Google Cloud.
pub(crate) fn is_host(host: &str) -> bool {
    let host = host.to_ascii_lowercase();
    if matches!(&*host, "gcr.io" | "docker.s3nsregistry.fr") {
        return true;
    }
    let ends = ["-docker.pkg.dev", ".gcr.io"];
    let name = ends.iter().find_map(|end| host.strip_suffix(end));
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    name.is_some_and(|name| !name.is_empty() && !name.starts_with('-') && name.bytes().all(inner))
}

/// Fetches an access token for the identity in the environment.
pub(crate) async fn fetch(environment: &Environment, http: &Http) -> Result<Grant, Failure> {
    let token = match environment.get(external_account::VARIABLE) {
        Some(path) => external_account::token(path, http).await?,
        None => metadata::token(environment, http).await?,
    };
    Ok(Grant {
        credential: Credential::password(USER, token.text),
        expires_in: token.expires_in,
        identity: format!("gcp: {}", token.identity),
    })
}

/// An access token and its identity.
struct AccessToken {
    text: String,
    expires_in: std::time::Duration,
    identity: String,
}
