//! The client for the API server: kube's own configuration, and what every request is subject to besides, however it is
//! sent: a deadline, and retries where a request may be sent twice.

mod authority;
mod connect;
mod deadline;
mod error;
mod kubeconfig;
pub(crate) mod list_stream;
mod recovery;
mod retry;

use std::{collections::BTreeMap, fs, path::Path};

use http::{HeaderValue, Request, Response, header};
use kube::{Client, Config, client::Body};
use tower::{BoxError, Layer as _, Service, retry::RetryLayer, util::MapResultLayer};

pub(crate) use self::{error::Error, recovery::Recovery};
use self::{error::Problem, retry::InvalidBackoff};
use crate::{constants, error_chain::Chain};

/// Where Kubernetes mounts the namespace of a pod's `ServiceAccount`.
const MOUNTED_NAMESPACE: &str = "/var/run/secrets/kubernetes.io/serviceaccount/namespace";

/// The cluster that the controller works in.
pub(crate) struct Cluster {
    /// Talks to the API server.
    pub(crate) client: Client,
    /// The controller's own namespace.
    pub(crate) namespace: String,
    /// Whether it answers.
    pub(crate) recovery: Recovery,
}

/// Finds the API server: by the kubeconfig, as `kubectl` would, else as a pod does. It is not contacted.
///
/// # Errors
///
/// [`Error`] when nothing says where it is, or the configuration cannot be followed.
pub(crate) async fn connect(environment: &BTreeMap<String, String>) -> Result<Cluster, Error> {
    let mut config = match kubeconfig::load().await {
        Ok(config) => config,
        Err(kubeconfig) => Config::incluster().map_err(|pod| Error::NotFound {
            kubeconfig,
            pod: Problem::new(Chain(&pod)),
        })?,
    };
    let agent = HeaderValue::from_static(constants::USER_AGENT);
    config.headers.push((header::USER_AGENT, agent));
    let mounted = Path::new(MOUNTED_NAMESPACE);
    let namespace = own_namespace(mounted, environment, &config.default_namespace);
    config.default_namespace.clone_from(&namespace);
    let recovery = Recovery::new();
    let client = connect::client(config, recovery.clone()).await?;
    Ok(Cluster {
        client,
        namespace,
        recovery,
    })
}

/// The namespace of the `ServiceAccount`, else of `POD_NAMESPACE`, else of the kubeconfig's context (or `default`).
fn own_namespace(
    mounted: &Path,
    environment: &BTreeMap<String, String>,
    of_context: &str,
) -> String {
    let mounted = fs::read_to_string(mounted).ok();
    let given = mounted.or_else(|| environment.get("POD_NAMESPACE").cloned());
    let given = given
        .map(|namespace| namespace.trim().to_owned())
        .filter(|namespace| !namespace.is_empty());
    given.unwrap_or_else(|| of_context.to_owned())
}

/// Adds the deadline and the retries, and notes recoveries, to a service that sends requests to the API server.
///
/// # Errors
///
/// [`InvalidBackoff`] when the constants of the retries contradict each other.
pub(crate) fn guarded<S, B>(
    service: S,
    recovery: Recovery,
) -> Result<
    impl Service<Request<Body>, Response = Response<B>, Error = BoxError, Future: Send + 'static>
    + Clone
    + Send
    + Sync
    + 'static,
    InvalidBackoff,
>
where
    S: Service<Request<Body>, Response = Response<B>, Error = BoxError, Future: Send + 'static>
        + Clone
        + Send
        + Sync
        + 'static,
    B: Send + 'static,
{
    let retries = RetryLayer::new(retry::Retries::new()?);
    let noted = MapResultLayer::new(move |result| recovery.note(result));
    Ok(retries.layer(noted.layer(deadline::layer().layer(service))))
}

#[cfg(test)]
mod tests;
