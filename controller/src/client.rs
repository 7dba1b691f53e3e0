//! The client for the API server: kube's own configuration, with a deadline for every request, and retries where a request
//! may be sent twice.

mod authority;
mod connect;
mod error;
mod kubeconfig;
pub(crate) mod list_stream;
mod recovery;
mod retry;

use std::{collections::BTreeMap, fs, path::Path, time::Duration};

use http::{HeaderValue, Request, Response, header};
use kube::{Client, Config, client::Body};
use tower::{
    BoxError, Service,
    retry::Retry,
    timeout::{Timeout, error::Elapsed},
    util::{MapErr, MapResult},
};

pub(crate) use self::{error::Error, recovery::Recovery};
use self::{error::Problem, retry::InvalidBackoff};
use crate::{constants, error_chain::Chain};

/// The file with the namespace of the pod's `ServiceAccount`.
const MOUNTED_NAMESPACE: &str = "/var/run/secrets/kubernetes.io/serviceaccount/namespace";

/// The deadline of each attempt, up to the head of the response. kube bounds the silence of a watch, and callers bound the
/// body, but nothing else bounds the wait for the response to a watch.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);

/// The deadline was exceeded.
#[derive(Debug, thiserror::Error)]
#[error("the API server did not respond within {} s", HEAD_TIMEOUT.as_secs())]
struct NoResponse;

/// The cluster that the controller works in.
pub(crate) struct Cluster {
    /// The client for its API server.
    pub(crate) client: Client,
    /// The controller's own namespace.
    pub(crate) namespace: String,
    /// Notices when the API server is available again.
    pub(crate) recovery: Recovery,
}

/// Creates a client from the kubeconfig, as `kubectl` does, or from the pod's `ServiceAccount`. Nothing is sent yet.
///
/// # Errors
///
/// [`Error`] when there is no configuration, or it is invalid.
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
    let client = connect::client(config, connect::PLUGIN_TIMEOUT, recovery.clone()).await?;
    Ok(Cluster {
        client,
        namespace,
        recovery,
    })
}

/// The namespace of the `ServiceAccount`, of `POD_NAMESPACE`, or of the kubeconfig's context (`default`), in this order.
fn own_namespace(
    mounted: &Path,
    environment: &BTreeMap<String, String>,
    of_context: &str,
) -> String {
    let mounted = fs::read_to_string(mounted).ok();
    let configured = mounted.or_else(|| environment.get("POD_NAMESPACE").cloned());
    let configured = configured
        .map(|namespace| namespace.trim().to_owned())
        .filter(|namespace| !namespace.is_empty());
    configured.unwrap_or_else(|| of_context.to_owned())
}

/// Wraps a service that sends requests to the API server with deadlines, retries, and the detection of recoveries.
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
    let deadline = MapErr::new(Timeout::new(service, HEAD_TIMEOUT), describe_timeout);
    let noted = MapResult::new(deadline, move |result| recovery.note(result));
    Ok(Retry::new(retry::Retries::new()?, noted))
}

fn describe_timeout(error: BoxError) -> BoxError {
    if error.is::<Elapsed>() {
        NoResponse.into()
    } else {
        error
    }
}

#[cfg(test)]
mod tests;
