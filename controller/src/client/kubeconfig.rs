//! The kubeconfig as kube reads it, but without the proxies of the environment, which are for registries.

use kube::{
    Config,
    config::{KubeConfigOptions, Kubeconfig, KubeconfigError},
};

use super::error::Problem;

/// Loads the files of `KUBECONFIG`, else `~/.kube/config`, for the current context.
///
/// # Errors
///
/// [`Problem`] when there is none, or it is invalid.
pub(super) async fn load() -> Result<Config, Problem> {
    configure(Kubeconfig::read()).await
}

async fn configure(kubeconfig: Result<Kubeconfig, KubeconfigError>) -> Result<Config, Problem> {
    let kubeconfig = kubeconfig?;
    let proxied = has_proxy(&kubeconfig);
    let options = KubeConfigOptions::default();
    let mut config = Config::from_custom_kubeconfig(kubeconfig, &options).await?;
    if !proxied {
        config.proxy_url = None; // from HTTPS_PROXY
    }
    Ok(config)
}

/// Whether the cluster of the current context has a `proxy-url`.
fn has_proxy(kubeconfig: &Kubeconfig) -> bool {
    let named = |name: &str| {
        let context = kubeconfig.contexts.iter().find(|entry| entry.name == name);
        let cluster = &context?.context.as_ref()?.cluster;
        let mut clusters = kubeconfig.clusters.iter();
        let cluster = clusters.find(|entry| entry.name == *cluster)?;
        cluster.cluster.as_ref()?.proxy_url.as_deref()
    };
    let current = kubeconfig.current_context.as_deref();
    current.and_then(named).is_some_and(|url| !url.is_empty())
}

#[cfg(test)]
mod tests;
