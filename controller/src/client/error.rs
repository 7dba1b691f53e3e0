//! Why there is no client for the API server.
//!
//! kube's errors contain parts of kubeconfigs and the output of exec plugins, which may be secret, so their messages are
//! replaced here.

use std::fmt;

use kube::{
    client::{AuthError, RustlsTlsError},
    config::{KubeconfigError, LoadDataError},
};

use super::retry::InvalidBackoff;
use crate::error_chain::Chain;

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// There is neither a valid kubeconfig nor a `ServiceAccount`.
    #[error(
        "cannot find the API server: set KUBECONFIG, or run in a pod with a ServiceAccount token (kubeconfig: {kubeconfig}; pod: {pod})"
    )]
    NotFound {
        /// The problem of the kubeconfig.
        kubeconfig: Problem,
        /// The problem of the `ServiceAccount`.
        pod: Problem,
    },
    /// The configuration is invalid.
    #[error("cannot create a client for the API server: {0}")]
    Invalid(Problem),
    /// The delays between retries contradict each other.
    #[error(transparent)]
    Retry(#[from] InvalidBackoff),
}

/// The message of a problem, without secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem(String);

impl std::error::Error for Problem {}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl Problem {
    pub(super) fn new(text: impl fmt::Display) -> Self {
        Self(text.to_string())
    }
}

impl From<Problem> for Error {
    fn from(problem: Problem) -> Self {
        Self::Invalid(problem)
    }
}

impl From<KubeconfigError> for Problem {
    fn from(error: KubeconfigError) -> Self {
        use KubeconfigError as Kubeconfig;
        match error {
            Kubeconfig::Parse(error) => {
                let location = error.location().map_or_else(String::new, |location| {
                    format!(" at line {}, column {}", location.line(), location.column())
                });
                Self(format!(
                    "invalid kubeconfig{location} (its text may be secret and is not shown)"
                ))
            }
            Kubeconfig::CurrentContextNotSet => Self::new("the kubeconfig has no current-context"),
            Kubeconfig::LoadContext(name) => {
                Self(format!("the kubeconfig has no context {name:?}"))
            }
            Kubeconfig::LoadClusterOfContext(name) => {
                Self(format!("the kubeconfig has no cluster {name:?}"))
            }
            Kubeconfig::ReadConfig(error, path) => {
                Self(format!("cannot read {}: {error}", path.display()))
            }
            Kubeconfig::LoadCertificateAuthority(error) => data("certificate-authority", &error),
            Kubeconfig::LoadClientCertificate(error) => data("client-certificate", &error),
            Kubeconfig::LoadClientKey(error) => data("client-key", &error),
            Kubeconfig::ParseCertificates(_) => {
                Self::new("the certificate-authority is not PEM with certificates")
            }
            Kubeconfig::ParseClusterUrl(error) => Self(format!("invalid server: {error}")),
            Kubeconfig::ParseProxyUrl(error) => Self(format!("invalid proxy-url: {error}")),
            Kubeconfig::FindPath => {
                Self::new("KUBECONFIG is not set, and there is no ~/.kube/config")
            }
            // Their messages contain no values.
            Kubeconfig::KindMismatch
            | Kubeconfig::ApiVersionMismatch
            | Kubeconfig::MissingClusterUrl => Self::new(error),
        }
    }
}

fn data(key: &str, error: &LoadDataError) -> Problem {
    match error {
        LoadDataError::DecodeBase64(_) => Problem(format!("{key}-data is not Base64")),
        LoadDataError::ReadFile(error, path) => {
            Problem(format!("cannot read the {key} {}: {error}", path.display()))
        }
        LoadDataError::NoBase64DataOrFile => Problem(format!(
            "{key} is missing: a client certificate and its key belong together"
        )),
    }
}

impl From<&AuthError> for Problem {
    fn from(error: &AuthError) -> Self {
        match error {
            AuthError::InvalidBasicAuth(_) | AuthError::InvalidBearerToken(_) => {
                Self::new("the token has a character that is not allowed in a header")
            }
            AuthError::ReadTokenFile(error, path) => Self(format!(
                "cannot read the token file {}: {error}",
                path.display()
            )),
            AuthError::AuthExecStart(error) => Self(format!("cannot run the exec plugin: {error}")),
            AuthError::AuthExecRun { out, .. } => {
                Self(format!("the exec plugin failed ({})", out.status))
            }
            AuthError::AuthExecParse(_)
            | AuthError::ExecPluginFailed
            | AuthError::UnrefreshableTokenResponse => {
                Self::new("the exec plugin did not print an ExecCredential with a token")
            }
            AuthError::MalformedTokenExpirationDate(_) => {
                Self::new("the expirationTimestamp of the token is not an RFC 3339 time")
            }
            AuthError::MissingCommand => Self::new("the exec plugin has no command"),
            _ => Self::new("the auth-provider cannot be used; use an exec plugin instead"),
        }
    }
}

impl From<kube::Error> for Problem {
    fn from(error: kube::Error) -> Self {
        match error {
            kube::Error::Auth(error) => Self::from(&error),
            kube::Error::InferKubeconfig(error) => Self::from(error),
            kube::Error::RustlsTls(
                RustlsTlsError::InvalidIdentityPem(_)
                | RustlsTlsError::MissingPrivateKey
                | RustlsTlsError::MissingCertificate
                | RustlsTlsError::UnknownPrivateKeyFormat,
            ) => Self::new("the client certificate and its key are not PEM"),
            // The messages of the others contain no values.
            other => Self::new(Chain(&other)),
        }
    }
}
