//! The way to the API server, and our own place in its cluster.

mod access;
mod authorization;
mod credential;
mod in_cluster;
mod kubeconfig;
mod plugin;
mod tls;
mod transport;
mod unverified;

use std::{collections::BTreeMap, fmt, fs, path::Path};

use http::{HeaderValue, header};
use kube::Client;
use serde_json::Value;

use crate::{constants, error_chain::Chain};

/// The cluster that the controller works in.
pub(crate) struct Cluster {
    /// Talks to the API server.
    pub(crate) client: Client,
    /// The controller's own namespace.
    pub(crate) namespace: String,
}

/// Why there is no way to the API server.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// Neither a kubeconfig nor a pod's own configuration could be used.
    #[error(
        "cannot find the API server: set KUBECONFIG, or run in a pod with a ServiceAccount token"
    )]
    Nowhere(#[source] Nowhere),
    /// What the configuration says cannot be done.
    #[error("cannot make a client of the API server")]
    Client(#[source] ClientError),
}

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub(crate) struct ClientError(transport::Error);

/// Why neither way leads to an API server.
#[derive(Debug)]
pub(crate) struct Nowhere {
    kubeconfig: kubeconfig::Error,
    pod: in_cluster::Error,
}

impl fmt::Display for Nowhere {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kubeconfig, pod) = (Chain(&self.kubeconfig), Chain(&self.pod));
        write!(formatter, "{kubeconfig}; {pod}")
    }
}

impl std::error::Error for Nowhere {}

/// Finds the API server, as `kubectl` would, or as a pod does.
///
/// Proxy variables of the environment are for registries: the API server is reached directly unless the kubeconfig
/// itself names a proxy.
///
/// # Errors
///
/// [`Error`] when nothing says where it is, or what says so cannot be followed. It is not contacted.
pub(crate) fn connect(environment: &BTreeMap<String, String>) -> Result<Cluster, Error> {
    let mut access = kubeconfig::read(environment).or_else(|kubeconfig| {
        in_cluster::read(environment).map_err(|pod| Error::Nowhere(Nowhere { kubeconfig, pod }))
    })?;
    let agent = HeaderValue::from_static(constants::USER_AGENT);
    access.headers.insert(header::USER_AGENT, agent);
    let mounted = Path::new(in_cluster::MOUNTED).join("namespace");
    let namespace = own_namespace(&mounted, environment, access.namespace.take());
    let client = transport::client(access, namespace.clone())
        .map_err(|error| Error::Client(ClientError(error)))?;
    Ok(Cluster { client, namespace })
}

/// The documents of a YAML text.
fn yaml(text: &str) -> Result<Vec<Value>, serde_saphyr::Error> {
    // No snippets: errors would show secrets
    let options = serde_saphyr::options! { with_snippet: false, strict_booleans: true };
    serde_saphyr::from_multiple_with_options(text, options)
}

/// The namespace of the `ServiceAccount`, else of `POD_NAMESPACE`, else of the kubeconfig's context, else `default`.
fn own_namespace(
    mounted: &Path,
    environment: &BTreeMap<String, String>,
    of_context: Option<String>,
) -> String {
    let mounted = fs::read_to_string(mounted).ok();
    let given = mounted.or_else(|| environment.get("POD_NAMESPACE").cloned());
    let given = given
        .map(|namespace| namespace.trim().to_owned())
        .filter(|namespace| !namespace.is_empty());
    given.or(of_context).unwrap_or_else(|| "default".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_own_namespace_is_that_of_the_service_account_first() {
        let folder = tempfile::tempdir().expect("a folder");
        let mounted = folder.path().join("namespace");
        let mut environment = BTreeMap::new();
        let context = || Some("context".to_owned());
        assert_eq!(own_namespace(&mounted, &environment, None), "default");
        assert_eq!(own_namespace(&mounted, &environment, context()), "context");
        environment.insert("POD_NAMESPACE".to_owned(), "pod".to_owned());
        assert_eq!(own_namespace(&mounted, &environment, context()), "pod");
        fs::write(&mounted, "mounted\n").expect("a file");
        assert_eq!(own_namespace(&mounted, &environment, context()), "mounted");
    }
}
