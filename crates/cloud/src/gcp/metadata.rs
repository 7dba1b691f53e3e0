//! The metadata server of a node; on GKE, it issues tokens of the pod's own service account:
//! <https://cloud.google.com/kubernetes-engine/docs/concepts/workload-identity#metadata_server>.

use std::time::Duration;

use kube_autorollout_registry::{ExternalRequest, ExternalResponse};
use serde::Deserialize;

use super::AccessToken;
use crate::{
    environment::Environment,
    failure::Failure,
    grant::at_least_minimum,
    http::{Http, METADATA_TIMEOUT, error_response, malformed, parse},
};

const HOST: &str = "metadata.google.internal";

/// A header of requests, so that no browser can be tricked into sending one, and of responses.
const FLAVOR: (&str, &str) = ("metadata-flavor", "Google");

const NO_ACCOUNT: &str = "give the controller's pod a service account: Workload Identity Federation for GKE on its node pool, and roles/artifactregistry.reader for its Kubernetes ServiceAccount (or the annotation iam.gke.io/gcp-service-account)";

const OUTSIDE: &str = "run on GKE or a Google VM, whose metadata server is asked at 169.254.169.254 (network policy), or mount a configuration of workload identity federation and name it in GOOGLE_APPLICATION_CREDENTIALS";

#[derive(Deserialize)]
struct MetadataResponse {
    access_token: String,
    /// The remaining lifetime: the server caches tokens.
    expires_in: u64,
}

/// Fetches an access token of the pod's service account.
pub(super) async fn token(environment: &Environment, http: &Http) -> Result<AccessToken, Failure> {
    let host = environment.get("GCE_METADATA_HOST").unwrap_or(HOST);
    let step = format!("gcp: token of the metadata server {host}");
    let response = get(host, "token", &step, http).await;
    let response = response.map_err(|failure| failure.with_advice(OUTSIDE))?;
    if response.status() != 200 {
        return Err(error_response(&step, &response, None, NO_ACCOUNT));
    }
    is_google(&step, &response)?;
    let body: MetadataResponse = parse(&response).ok_or_else(|| malformed(&step))?;
    Ok(AccessToken {
        text: body.access_token,
        expires_in: at_least_minimum(Duration::from_secs(body.expires_in)),
        identity: email(host, http).await,
    })
}

/// The account of the token, which is informative only.
async fn email(host: &str, http: &Http) -> String {
    let response = get(host, "email", "gcp: email", http).await.ok();
    let response = response.filter(|response| response.status() == 200);
    let email = response.and_then(|response| String::from_utf8(response.body().to_vec()).ok());
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"@.-_".contains(&byte);
    email
        .map(|email| email.trim().to_owned())
        .filter(|email| (1..=320).contains(&email.len()) && email.bytes().all(fits))
        .unwrap_or_else(|| "the metadata server's service account".to_owned())
}

async fn get(host: &str, what: &str, step: &str, http: &Http) -> Result<ExternalResponse, Failure> {
    let url = format!("http://{host}/computeMetadata/v1/instance/service-accounts/default/{what}");
    let (name, value) = FLAVOR;
    let request = || ExternalRequest::get(&*url, METADATA_TIMEOUT).header(name, value);
    http.send_to_metadata_server(step, request).await
}

/// Checks the server's identity: on another network, any server could have the address.
fn is_google(step: &str, response: &ExternalResponse) -> Result<(), Failure> {
    let (name, value) = FLAVOR;
    if response.header(name) == Some(value) {
        return Ok(());
    }
    let what = "what responds is not Google's metadata server: it has no Metadata-Flavor";
    Err(Failure::permanent(step, what, OUTSIDE))
}
