//! Fetches and parses one pull Secret.

use std::time::Duration;

use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client};
use kube_autorollout_registry::Keyring;
use tokio::time;

/// The deadline of a request.
pub(super) const GET_TIMEOUT: Duration = Duration::from_secs(10);

/// Why a pull Secret cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error(
        "reading them is forbidden: add the verb get on secrets to the role of the controller, or configure the registry"
    )]
    Forbidden,
    #[error("it does not exist")]
    NotFound,
    #[error("the API server did not respond in time")]
    Timeout,
    #[error("it cannot be read")]
    Get(#[source] kube::Error),
    #[error(
        "its type is {0}: a pull Secret is kubernetes.io/dockerconfigjson or kubernetes.io/dockercfg"
    )]
    Type(String),
    #[error("it has no key {0}")]
    Key(&'static str),
    #[error(transparent)]
    Malformed(#[from] kube_autorollout_registry::DockerConfigError),
}

impl Error {
    /// Whether the API server did not respond, so that the Secret may be unchanged.
    pub(super) fn is_unanswered(&self) -> bool {
        matches!(self, Self::Timeout | Self::Get(_))
    }
}

/// Parses a Secret. Its type determines the key, as for the kubelet.
pub(super) fn parse(secret: &Secret) -> Result<Keyring, Error> {
    let mut keyring = Keyring::default();
    let data = |key: &'static str| {
        let value = secret.data.as_ref().and_then(|data| data.get(key));
        value
            .map(|value| value.0.as_slice())
            .filter(|value| !value.is_empty())
            .ok_or(Error::Key(key))
    };
    match secret.type_.as_deref().unwrap_or_default() {
        "kubernetes.io/dockerconfigjson" => keyring.add_config_json(data(".dockerconfigjson")?)?,
        "kubernetes.io/dockercfg" => keyring.add_dockercfg(data(".dockercfg")?)?,
        other => return Err(Error::Type(other.to_owned())),
    }
    Ok(keyring)
}

/// Fetches the Secret of this name.
///
/// # Errors
///
/// [`Error`] when it cannot be fetched or used.
pub(super) async fn get(client: &Client, namespace: &str, name: &str) -> Result<Keyring, Error> {
    let api: Api<Secret> = Api::namespaced(client.clone(), namespace);
    let secret = time::timeout(GET_TIMEOUT, api.get(name))
        .await
        .map_err(|_| Error::Timeout)?;
    let secret = secret.map_err(|error| match error {
        kube::Error::Api(status) if status.is_forbidden() => Error::Forbidden,
        kube::Error::Api(status) if status.is_not_found() => Error::NotFound,
        error => Error::Get(error),
    })?;
    parse(&secret)
}
