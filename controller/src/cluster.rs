//! The way to the API server, and our own place in its cluster.

use std::{collections::BTreeMap, path::Path};

use http::{HeaderValue, header};
use kube::{
    Client, Config,
    config::{InferConfigError, Kubeconfig},
};

use crate::keys;

/// Where Kubernetes tells a container its own namespace.
const MOUNTED: &str = "/var/run/secrets/kubernetes.io/serviceaccount/namespace";

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
    Infer(#[from] InferConfigError),
    /// What the configuration says cannot be done.
    #[error("cannot make a client of the API server")]
    Client(#[from] kube::Error),
}

/// Finds the API server, as `kubectl` would, or as a pod does.
///
/// Proxy variables of the environment are for registries: the API server is reached directly unless the kubeconfig
/// itself names a proxy.
///
/// # Errors
///
/// [`Error`] when nothing says where it is, or what says so cannot be followed. It is not contacted.
pub(crate) async fn connect(environment: &BTreeMap<String, String>) -> Result<Cluster, Error> {
    let mut config = Config::infer().await?;
    if !Kubeconfig::read().is_ok_and(|kubeconfig| names_proxy(&kubeconfig)) {
        config.proxy_url = None;
    }
    config.headers.push((
        header::USER_AGENT,
        HeaderValue::from_static(keys::USER_AGENT),
    ));
    let namespace = own_namespace(Path::new(MOUNTED), environment, &config);
    let client = Client::try_from(config)?;
    Ok(Cluster { client, namespace })
}

/// Whether the cluster of the current context is reached through a proxy of its own.
fn names_proxy(kubeconfig: &Kubeconfig) -> bool {
    let current = kubeconfig.current_context.as_deref();
    let context = kubeconfig
        .contexts
        .iter()
        .find(|context| Some(context.name.as_str()) == current);
    let name = context
        .and_then(|context| context.context.as_ref())
        .map(|context| context.cluster.as_str());
    let cluster = kubeconfig
        .clusters
        .iter()
        .find(|cluster| Some(cluster.name.as_str()) == name);
    let proxy = cluster.and_then(|cluster| cluster.cluster.as_ref()?.proxy_url.as_deref());
    proxy.is_some_and(|proxy| !proxy.is_empty())
}

/// The namespace of the `ServiceAccount`, else of `POD_NAMESPACE`, else of the kubeconfig's context, else `default`.
fn own_namespace(
    mounted: &Path,
    environment: &BTreeMap<String, String>,
    config: &Config,
) -> String {
    let mounted = std::fs::read_to_string(mounted).ok();
    let given = mounted.or_else(|| environment.get("POD_NAMESPACE").cloned());
    let given = given
        .map(|namespace| namespace.trim().to_owned())
        .filter(|namespace| !namespace.is_empty());
    given.unwrap_or_else(|| config.default_namespace.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_own_namespace_is_that_of_the_service_account_first() {
        let folder = tempfile::tempdir().expect("a folder");
        let mounted = folder.path().join("namespace");
        let mut config = Config::new("https://127.0.0.1".parse().expect("an address"));
        config.default_namespace = "context".to_owned();
        let mut environment = BTreeMap::new();
        assert_eq!(own_namespace(&mounted, &environment, &config), "context");
        environment.insert("POD_NAMESPACE".to_owned(), "pod".to_owned());
        assert_eq!(own_namespace(&mounted, &environment, &config), "pod");
        std::fs::write(&mounted, "mounted\n").expect("a file");
        assert_eq!(own_namespace(&mounted, &environment, &config), "mounted");
    }

    #[test]
    fn only_a_kubeconfig_that_names_a_proxy_has_one() {
        let kubeconfig = |proxy: &str| {
            let text = format!(
                "current-context: a\ncontexts: [{{name: a, context: {{cluster: b, user: c}}}}]\nclusters: [{{name: b, cluster: {{server: 'https://b'{proxy}}}}}]\n"
            );
            Kubeconfig::from_yaml(&text).expect("a kubeconfig")
        };
        assert!(!names_proxy(&kubeconfig("")));
        assert!(names_proxy(&kubeconfig(", proxy-url: 'http://proxy:3128'")));
    }
}
