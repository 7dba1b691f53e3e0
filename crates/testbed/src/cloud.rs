//! AWS, Azure and Google Cloud as far as their registries need them, in this process: the endpoints that issue
//! credentials, and the registries that take them, before a real one.
//!
//! Everything is at its real name: a proxy takes the tunnels to all hosts of the world and ends their TLS itself. What is
//! asked is checked to the byte that matters, by code that shares nothing with what it checks, and each endpoint can fail as
//! the real one does. Metadata servers, which nobody may ask through a proxy, are at an address of their own.

mod answer;
mod asked;
mod aws;
mod azure;
mod google;
mod registry;
mod server;
mod signature;
mod state;

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{net::TcpListener, task::JoinSet};

pub use self::{
    asked::{Asked, Step, Via},
    state::{Astray, Failure},
};
use self::{server::Server, state::State};
use crate::{
    certificates::{self, Authority},
    locked::locked,
};

/// A registry of ECR.
pub const ECR: &str = "123456789012.dkr.ecr.eu-central-1.amazonaws.com";

/// The public gallery of ECR.
pub const ECR_PUBLIC: &str = "public.ecr.aws";

/// A registry of Artifact Registry.
pub const GAR: &str = "europe-west3-docker.pkg.dev";

/// A registry of ACR.
pub const ACR: &str = "acme.azurecr.io";

/// A host of nobody's cloud.
pub const EVIL: &str = "123456789012.dkr.ecr.eu-central-1.amazonaws.com.evil.example";

/// The role that a pod gets by IRSA.
pub const POD_ROLE: &str = "arn:aws:iam::123456789012:role/kube-autorollout";

/// A role of another account, which that one may assume.
pub const OTHER_ROLE: &str = "arn:aws:iam::210987654321:role/ecr-reader";

/// Static credentials of AWS.
pub const STATIC_KEYS: (&str, &str) = ("AKIDSTATIC", "planted-static-secret-key");

/// The token of the pod's `ServiceAccount`, which all clouds take.
pub const SERVICE_ACCOUNT_TOKEN: &str = "planted-service-account-token";

/// What the agent of EKS Pod Identity takes.
pub const AGENT_TOKEN: &str = "planted-agent-token";

/// The tenant and the client of Azure.
pub const TENANT: &str = "11111111-2222-3333-4444-555555555555";

/// See [`TENANT`].
pub const CLIENT: &str = "66666666-7777-8888-9999-000000000000";

/// The audience of Google's workload identity provider.
pub const AUDIENCE: &str =
    "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/pool/providers/k8s";

/// The service account of Google's that is impersonated.
pub const GOOGLE_ACCOUNT: &str = "reader@acme.iam.gserviceaccount.com";

/// Why the clouds did not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No port was to be had.
    #[error("could not listen for the clouds")]
    Listen(#[from] io::Error),
    /// No certificate was to be had.
    #[error("could not make the authority of the clouds")]
    Certificate(#[from] certificates::Error),
}

/// The clouds. They end when they are dropped.
pub struct Clouds {
    proxy: String,
    local: String,
    authority: String,
    state: Arc<Mutex<State>>,
    _tasks: JoinSet<()>, // dropping it stops them
}

impl Clouds {
    /// Starts them before a registry that lets everybody in.
    ///
    /// # Errors
    ///
    /// When a port or a certificate is not to be had.
    pub async fn start(registry: SocketAddr) -> Result<Self, Error> {
        let authority = Authority::new("testbed clouds")?;
        let certificate = authority.certificate().to_owned();
        let state = Arc::new(Mutex::new(State::default()));
        let server = Arc::new(Server::new(authority, registry, Arc::clone(&state)));
        let mut tasks = JoinSet::new();
        let [proxy, local] = [listen().await?, listen().await?];
        let [proxied, at] = [proxy.local_addr()?, local.local_addr()?];
        tasks.spawn(Arc::clone(&server).run(proxy, true));
        tasks.spawn(server.run(local, false));
        Ok(Self {
            proxy: proxied.to_string(),
            local: at.to_string(),
            authority: certificate,
            state,
            _tasks: tasks,
        })
    }

    /// The address of the proxy through which all hosts of the world are reached.
    pub fn proxy(&self) -> &str {
        &self.proxy
    }

    /// The address of the metadata server of Google, the agent of EKS Pod Identity, and, for who is reported so, of AWS'
    /// endpoints without TLS.
    pub fn local(&self) -> &str {
        &self.local
    }

    /// The certificate that all hosts are signed with.
    pub fn ca_certificate(&self) -> &str {
        &self.authority
    }

    /// For how long what is issued from now on is good.
    pub fn set_life(&self, life: Duration) {
        locked(&self.state).life = life;
    }

    /// From now on a step fails in this way; `None`: it does not.
    pub fn fail(&self, step: Step, failure: Option<Failure>) {
        let mut state = locked(&self.state);
        match failure {
            Some(failure) => state.failures.insert(step, failure),
            None => state.failures.remove(&step),
        };
    }

    /// Whether nobody answers at the endpoints that issue credentials. The registries go on.
    pub fn go_away(&self, away: bool) {
        locked(&self.state).away = away;
    }

    /// How registries treat those who have a token from now on; `None`: they let them in.
    pub fn lead_astray(&self, astray: Option<Astray>) {
        locked(&self.state).astray = astray;
    }

    /// No registry takes any more what was issued so far.
    pub fn revoke(&self) {
        locked(&self.state).revoke();
    }

    /// All that was asked, in order.
    pub fn asked(&self) -> Vec<Asked> {
        locked(&self.state).asked.clone()
    }

    /// How often a step was asked for.
    pub fn count(&self, step: Step) -> usize {
        let state = locked(&self.state);
        let asked = state.asked.iter();
        asked.filter(|asked| asked.step == Some(step)).count()
    }

    /// What of requests was not as the real endpoints want it.
    pub fn complaints(&self) -> Vec<String> {
        locked(&self.state).complaints.clone()
    }

    /// Everything secret that was issued, or that a client has to present.
    pub fn secrets(&self) -> Vec<String> {
        let mut secrets = locked(&self.state).secrets();
        let own = [STATIC_KEYS.1, SERVICE_ACCOUNT_TOKEN, AGENT_TOKEN];
        secrets.extend(own.map(str::to_owned));
        secrets
    }
}

async fn listen() -> io::Result<TcpListener> {
    TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0)).await
}
