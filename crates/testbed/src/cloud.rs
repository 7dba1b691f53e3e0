//! AWS, Azure and Google Cloud as far as their registries need them, in this process: the endpoints that issue
//! credentials, and the registries that accept them, in front of a real one.
//!
//! All hosts have their real names: a proxy accepts tunnels to every host and terminates TLS itself. Requests are checked
//! in every detail that matters, by code that is independent of the code under test, and each endpoint can fail as the real
//! one does. Metadata servers, which must not be reached through a proxy, have an address of their own.

mod answer;
mod aws;
mod azure;
mod google;
mod registry;
mod request;
mod server;
mod signature;
mod state;

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use parking_lot::Mutex;

pub use self::{
    request::{RecordedRequest, Step, Via},
    state::{Failure, Mistreatment},
};
use self::{server::Hosts, state::State};
use crate::{
    certificates::{self, Authority},
    server::Server,
};

/// A registry of ECR.
pub const ECR: &str = "123456789012.dkr.ecr.eu-central-1.amazonaws.com";

/// The public gallery of ECR.
pub const ECR_PUBLIC: &str = "public.ecr.aws";

/// A registry of Artifact Registry.
pub const GAR: &str = "europe-west3-docker.pkg.dev";

/// A registry of ACR.
pub const ACR: &str = "acme.azurecr.io";

/// A host of no cloud.
pub const EVIL: &str = "123456789012.dkr.ecr.eu-central-1.amazonaws.com.evil.example";

/// The role that a pod gets by IRSA.
pub const POD_ROLE: &str = "arn:aws:iam::123456789012:role/kube-autorollout";

/// A role of another account, which [`POD_ROLE`] may assume.
pub const OTHER_ROLE: &str = "arn:aws:iam::210987654321:role/ecr-reader";

/// Static credentials of AWS.
pub const STATIC_KEYS: (&str, &str) = ("AKIDSTATIC", "planted-static-secret-key");

/// The token of the pod's `ServiceAccount`, which all clouds accept.
pub const SERVICE_ACCOUNT_TOKEN: &str = "planted-service-account-token";

/// The token that the agent of EKS Pod Identity accepts.
pub const AGENT_TOKEN: &str = "planted-agent-token";

/// The tenant and the client of Azure.
pub const TENANT: &str = "11111111-2222-3333-4444-555555555555";

/// See [`TENANT`].
pub const CLIENT: &str = "66666666-7777-8888-9999-000000000000";

/// The audience of Google's workload identity provider.
pub const AUDIENCE: &str =
    "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/pool/providers/k8s";

/// The Google service account that is impersonated.
pub const GOOGLE_ACCOUNT: &str = "reader@acme.iam.gserviceaccount.com";

/// Why the clouds could not be started.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No port was free.
    #[error("could not listen for the clouds")]
    Listen(#[from] io::Error),
    /// No certificate could be made.
    #[error("could not make the authority of the clouds")]
    Certificate(#[from] certificates::Error),
}

/// The clouds, until they are dropped.
pub struct Clouds {
    proxy: Server,
    local: Server,
    authority: String,
    state: Arc<Mutex<State>>,
}

impl Clouds {
    /// Starts them in front of a registry without authentication.
    ///
    /// # Errors
    ///
    /// When no port is free or no certificate can be made.
    pub async fn start(registry: SocketAddr) -> Result<Self, Error> {
        let authority = Authority::new("testbed clouds")?;
        let certificate = authority.certificate().to_owned();
        let state = Arc::new(Mutex::new(State::default()));
        let hosts = Arc::new(Hosts::new(authority, registry, Arc::clone(&state)));
        Ok(Self {
            proxy: hosts.listen(Via::Forward).await?,
            local: hosts.listen(Via::Local).await?,
            authority: certificate,
            state,
        })
    }

    /// The address of the proxy, through which all hosts are reached.
    pub fn proxy(&self) -> &str {
        self.proxy.host()
    }

    /// The address of Google's metadata server, of the agent of EKS Pod Identity and, where a test configures it so, of the
    /// endpoints of AWS without TLS.
    pub fn local(&self) -> &str {
        self.local.host()
    }

    /// The certificate of the authority that signs the certificates of all hosts.
    pub fn ca_certificate(&self) -> &str {
        &self.authority
    }

    /// The lifetime of credentials that are issued from now on.
    pub fn set_life(&self, life: Duration) {
        self.state.lock().life = life;
    }

    /// From now on a step fails in this way; with `None` it succeeds.
    pub fn fail(&self, step: Step, failure: Option<Failure>) {
        let mut state = self.state.lock();
        match failure {
            Some(failure) => state.failures.insert(step, failure),
            None => state.failures.remove(&step),
        };
    }

    /// Whether the endpoints that issue credentials give no response. The registries do.
    pub fn go_away(&self, away: bool) {
        self.state.lock().away = away;
    }

    /// How registries mistreat clients with a valid token from now on; with `None` they serve them.
    pub fn mistreat(&self, mistreatment: Option<Mistreatment>) {
        self.state.lock().mistreatment = mistreatment;
    }

    /// Revokes all credentials that were issued so far.
    pub fn revoke(&self) {
        self.state.lock().revoke();
    }

    /// All requests, oldest first.
    pub fn asked(&self) -> Vec<RecordedRequest> {
        self.state.lock().asked.clone()
    }

    /// How often a step was requested.
    pub fn count(&self, step: Step) -> usize {
        let state = self.state.lock();
        let asked = state.asked.iter();
        asked.filter(|asked| asked.step == Some(step)).count()
    }

    /// What the real endpoints would have rejected in requests.
    pub fn complaints(&self) -> Vec<String> {
        self.state.lock().complaints.clone()
    }

    /// Every secret that was issued, or that a client has to present.
    pub fn secrets(&self) -> Vec<String> {
        self.state.lock().secrets()
    }
}
