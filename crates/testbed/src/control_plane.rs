//! A real control plane on loopback: etcd, API server, controller-manager, scheduler.

mod audit;
mod components;
mod etcd;
mod grace;
mod kubeconfig;
mod outages;

use std::{
    fs, io,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    time::Duration,
};

use k8s_openapi::api::{
    authentication::v1::{TokenRequest, TokenRequestSpec},
    core::v1::ServiceAccount,
};
use kube::{
    Api, Client, Config,
    api::PostParams,
    config::{KubeConfigOptions, Kubeconfig, KubeconfigError},
};

pub use audit::{Audit, Request};
use components::Site;
pub use grace::NodeGrace;

use crate::{
    certificates::{self, Authority, signing_key},
    process::{self, Folder, Port, Server},
    programs::Programs,
};

/// How long a token of [`ControlPlane::kubeconfig_for`] is good for, in seconds: longer than any test.
const TOKEN_LIFETIME: i64 = 24 * 3600;

/// The files of an administrator's certificate and of its key.
const CLIENT_CERTIFICATE: &str = "client.crt";
const CLIENT_KEY: &str = "client.key";

/// Why the control plane did not start or did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The folder, a file or a port could not be allocated.
    #[error("could not prepare the control plane's files")]
    Files(#[from] io::Error),
    /// A key or certificate could not be made.
    #[error("could not prepare the control plane's keys")]
    Certificates(#[from] certificates::Error),
    /// A server did not start.
    #[error("the control plane is incomplete")]
    Server(#[from] process::Error),
    /// Our own kubeconfig could not be used.
    #[error("could not read the testbed's own kubeconfig")]
    Kubeconfig(#[from] KubeconfigError),
    /// etcd did not compact.
    #[error("could not compact etcd")]
    Compact(#[source] io::Error),
    /// etcd did not store.
    #[error("could not write into etcd")]
    Store(#[source] io::Error),
    /// The client could not be built.
    #[error("could not make a client of the control plane")]
    Client(#[source] Box<kube::Error>),
    /// No token was issued for a service account.
    #[error("could not get a token for the service account {namespace}/{name}")]
    Token {
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
        /// Why; `None` when the response held no token.
        source: Option<Box<kube::Error>>,
    },
}

/// A running control plane, stopped and removed on drop.
pub struct ControlPlane {
    config: Config,
    url: String,
    authority: String,
    scheduler: Server,
    controller_manager: Server,
    api_server: Server,
    etcd: Server,
    kubeconfig: PathBuf,
    audit: Audit,
    port: Port,
    // After the servers, so that it is removed when they are gone
    folder: Folder,
}

impl ControlPlane {
    /// Starts all four programs and waits until a namespace gets its `ServiceAccount` and a pod would be scheduled:
    /// three to five seconds on two cores.
    ///
    /// # Errors
    ///
    /// When a server does not become ready; its logs are kept then.
    pub async fn start(programs: &Programs, grace: NodeGrace) -> Result<Self, Error> {
        let folder = Folder::new()?;
        let plane = Self::assemble(programs, folder, grace).await?;
        let started = plane.etcd.start().await;
        plane.folder.keep_on_error(started)?;
        plane.start_api_server().await?;
        Ok(plane)
    }

    /// Writes the files and makes the servers, not started yet.
    async fn assemble(
        programs: &Programs,
        folder: Folder,
        grace: NodeGrace,
    ) -> Result<Self, Error> {
        let port = Port::reserve(&programs.ports())?;
        let url = format!("https://127.0.0.1:{}", port.number());
        let authority = Authority::new("testbed control plane")?;
        write_files(folder.path(), &authority)?;
        let site = Site {
            programs,
            folder: folder.path(),
            port: port.number(),
            grace,
        };
        site.write_kubeconfigs(&url, authority.certificate())?;
        let kubeconfig = site.kubeconfig(components::ADMIN);
        let config = config(&kubeconfig).await?;
        let client =
            Client::try_from(config.clone()).map_err(|error| Error::Client(Box::new(error)))?;
        Ok(Self {
            url,
            authority: authority.certificate().to_owned(),
            etcd: site.etcd(),
            api_server: site.api_server(client.clone()),
            controller_manager: site.controller_manager(client),
            scheduler: site.scheduler(),
            audit: Audit::new(site.audit_log()),
            config,
            kubeconfig,
            port,
            folder,
        })
    }

    /// A new client of an administrator, for the current runtime: a client's connections end with the runtime on which
    /// they were opened, so tests cannot share one.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    #[expect(
        clippy::expect_used,
        reason = "a client was made of the same settings when the control plane started"
    )]
    pub fn client(&self) -> Client {
        Client::try_from(self.config.clone()).expect("settings that made a client before")
    }

    /// The API server's address.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Where the API server listens.
    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port.number()).into()
    }

    /// An administrator's kubeconfig file.
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// The files of an administrator's certificate and of its key.
    pub fn client_certificate(&self) -> [PathBuf; 2] {
        [CLIENT_CERTIFICATE, CLIENT_KEY].map(|name| self.folder.path().join(name))
    }

    /// Writes a kubeconfig file with a real token of a service account; its context carries the namespace.
    ///
    /// # Errors
    ///
    /// When the API server issues no token, or the file cannot be written.
    pub async fn kubeconfig_for(
        &self,
        namespace: &str,
        service_account: &str,
    ) -> Result<PathBuf, Error> {
        let fail = |source| Error::Token {
            namespace: namespace.to_owned(),
            name: service_account.to_owned(),
            source,
        };
        let accounts: Api<ServiceAccount> = Api::namespaced(self.client(), namespace);
        let request = TokenRequest {
            spec: TokenRequestSpec {
                expiration_seconds: Some(TOKEN_LIFETIME),
                ..TokenRequestSpec::default()
            },
            ..TokenRequest::default()
        };
        let answer = accounts
            .create_token_request(service_account, &PostParams::default(), &request)
            .await
            .map_err(|error| fail(Some(Box::new(error))))?;
        let status = answer.status.ok_or_else(|| fail(None))?;
        let file = self
            .folder
            .path()
            .join(format!("{namespace}-{service_account}.kubeconfig"));
        let entry = kubeconfig::Entry {
            url: &self.url,
            authority: &self.authority,
            user: service_account,
            token: &status.token,
            namespace,
        };
        kubeconfig::write(&file, &entry)?;
        Ok(file)
    }

    /// The requests to the API server since its first start.
    pub fn audit(&self) -> Audit {
        self.audit.clone()
    }

    /// The time for which each of the servers has used a CPU since it started last.
    pub fn cpu_times(&self) -> [(&'static str, Duration); 4] {
        [
            ("etcd", &self.etcd),
            ("API server", &self.api_server),
            ("controller-manager", &self.controller_manager),
            ("scheduler", &self.scheduler),
        ]
        .map(|(name, server)| (name, server.cpu_time().unwrap_or_default()))
    }

    pub(crate) fn folder(&self) -> &Folder {
        &self.folder
    }
}

/// Keys, certificates and settings that the servers' flags name.
fn write_files(folder: &Path, authority: &Authority) -> Result<(), Error> {
    let identity = authority.issue()?;
    let client = authority.issue_client("certified", "system:masters")?;
    let service_accounts = signing_key()?;
    let files = [
        ("authority.crt", authority.certificate().to_owned()),
        ("server.crt", identity.certificate),
        ("server.key", identity.key),
        (CLIENT_CERTIFICATE, client.certificate),
        (CLIENT_KEY, client.key),
        ("service-account.key", service_accounts.serialize_pem()),
        ("service-account.pub", service_accounts.public_key_pem()),
        ("audit-policy.json", audit::POLICY.to_owned()),
        (components::TOKENS, components::token_file()),
    ];
    for (name, content) in files {
        fs::write(folder.join(name), content)?;
    }
    Ok(())
}

/// A client configuration for loopback: without a proxy, and without retries, so that an outage shows at once.
pub(crate) async fn config(kubeconfig: &Path) -> Result<Config, KubeconfigError> {
    let kubeconfig = Kubeconfig::read_from(kubeconfig)?;
    let mut config =
        Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
    config.proxy_url = None;
    config.default_retry = false;
    Ok(config)
}
