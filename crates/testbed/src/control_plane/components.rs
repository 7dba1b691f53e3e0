//! The four servers and their flags: small, fast, loopback only.

use std::path::{Path, PathBuf};

use kube::Client;
use tokio::net::UnixStream;

use super::{Audit, grace::NodeGrace, kubeconfig};
use crate::{
    process::{Launch, Server},
    programs::{Program, Programs},
};

/// The users of the token file. Each component has a name of its own, so that they differ in the audit log.
pub(super) const ADMIN: &str = "testbed-admin";
const CONTROLLER_MANAGER: &str = "system:kube-controller-manager";
const SCHEDULER: &str = "system:kube-scheduler";
pub(super) const USERS: [&str; 3] = [ADMIN, CONTROLLER_MANAGER, SCHEDULER];

/// The name of the socket in the folder on which etcd serves.
pub(super) const ETCD_SOCKET: &str = "etcd.sock";

/// The secret of a user of the token file; it is worth nothing outside of this loopback server.
pub(super) fn token(user: &str) -> String {
    format!("token-of-{user}")
}

/// The content of `--token-auth-file`: all rights for every user.
pub(super) fn token_file() -> String {
    USERS
        .map(|user| format!("{},{user},{user},system:masters\n", token(user)))
        .concat()
}

/// A place for the four of them.
pub(super) struct Site<'a> {
    pub(super) programs: &'a Programs,
    pub(super) folder: &'a Path,
    pub(super) port: u16,
    pub(super) grace: NodeGrace,
}

impl Site<'_> {
    fn launch(&self, program: Program, arguments: Vec<String>) -> Launch {
        Launch {
            name: program.name(),
            program: self.programs.file(program).to_owned(),
            arguments,
            environment: Vec::new(),
            folder: self.folder.to_owned(),
        }
    }

    pub(super) fn kubeconfig(&self, user: &str) -> PathBuf {
        self.folder.join(format!("{user}.kubeconfig"))
    }

    pub(super) fn audit_log(&self) -> PathBuf {
        self.folder.join("audit.log")
    }

    /// etcd on Unix sockets, which need no port, and without fsync, as nothing here outlives the machine.
    pub(super) fn etcd(&self) -> Server {
        let socket = self.folder.join(ETCD_SOCKET);
        let client = format!("unix://{}", socket.display());
        let peer = format!("unix://{}", self.folder.join("peer.sock").display());
        let arguments = [
            "--data-dir=etcd".to_owned(),
            "--unsafe-no-fsync".to_owned(),
            "--log-level=warn".to_owned(),
            format!("--listen-client-urls={client}"),
            format!("--advertise-client-urls={client}"),
            format!("--listen-peer-urls={peer}"),
            format!("--initial-advertise-peer-urls={peer}"),
            format!("--initial-cluster=default={peer}"),
        ];
        let launch = self.launch(Program::Etcd, arguments.into());
        Server::new(launch, move || {
            let socket = socket.clone();
            Box::pin(async move { UnixStream::connect(socket).await.is_ok() })
        })
    }

    pub(super) fn api_server(&self, client: Client) -> Server {
        let arguments = [
            format!(
                "--etcd-servers=unix://{}",
                self.folder.join(ETCD_SOCKET).display()
            ),
            "--bind-address=127.0.0.1".to_owned(),
            format!("--secure-port={}", self.port),
            "--tls-cert-file=server.crt".to_owned(),
            "--tls-private-key-file=server.key".to_owned(),
            "--endpoint-reconciler-type=none".to_owned(), // it refuses to publish a loopback address
            "--service-cluster-ip-range=10.0.0.0/24".to_owned(),
            "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
            "--service-account-signing-key-file=service-account.key".to_owned(),
            "--service-account-key-file=service-account.pub".to_owned(),
            "--authorization-mode=RBAC".to_owned(),
            format!("--token-auth-file={TOKENS}"),
            "--client-ca-file=authority.crt".to_owned(),
            "--enable-priority-and-fairness=false".to_owned(),
            "--max-requests-inflight=4000".to_owned(),
            "--max-mutating-requests-inflight=2000".to_owned(),
            "--audit-policy-file=audit-policy.json".to_owned(),
            format!("--audit-log-path={}", self.audit_log().display()),
            "--audit-log-mode=blocking".to_owned(), // a request is in the log before its response is out
            "--audit-log-maxsize=100000".to_owned(), // megabytes; never rotated, so marks stay valid
            "--profiling=false".to_owned(),
            "--feature-gates=MutatingAdmissionPolicy=true".to_owned(),
            "--runtime-config=admissionregistration.k8s.io/v1beta1=true".to_owned(),
        ];
        let arguments = arguments.into_iter().chain(self.grace.admission_flags());
        let launch = self.launch(Program::KubeApiserver, arguments.collect());
        Server::new(launch, move || {
            let client = client.clone();
            Box::pin(async move { answers(&client, "/readyz").await })
        })
    }

    /// All controllers that are on by default; ready when they have made the first `ServiceAccount`.
    pub(super) fn controller_manager(&self, client: Client) -> Server {
        let arguments = [
            self.client_flag(CONTROLLER_MANAGER),
            "--service-account-private-key-file=service-account.key".to_owned(),
            "--root-ca-file=authority.crt".to_owned(),
            "--concurrent-deployment-syncs=20".to_owned(),
            "--concurrent-replicaset-syncs=20".to_owned(),
            "--concurrent-namespace-syncs=20".to_owned(),
            // A list that is streamed can hang for minutes after a restart of the API server
            "--feature-gates=WatchListClient=false".to_owned(),
        ];
        let arguments = arguments
            .into_iter()
            .chain(self.grace.controller_flags())
            .chain(component_flags());
        let launch = self.launch(Program::KubeControllerManager, arguments.collect());
        Server::new(launch, move || {
            let client = client.clone();
            Box::pin(async move {
                let account = "/api/v1/namespaces/default/serviceaccounts/default";
                answers(&client, account).await
            })
        })
    }

    /// The scheduler; ready when it watches pods.
    pub(super) fn scheduler(&self) -> Server {
        let arguments = [self.client_flag(SCHEDULER)];
        let arguments = arguments.into_iter().chain(component_flags()).collect();
        let launch = self.launch(Program::KubeScheduler, arguments);
        let audit = Audit::new(self.audit_log());
        Server::new(launch, move || {
            let watches = watches_pods(&audit);
            Box::pin(std::future::ready(watches))
        })
    }

    fn client_flag(&self, user: &str) -> String {
        format!("--kubeconfig={}", self.kubeconfig(user).display())
    }

    /// Writes the kubeconfig files of all users.
    pub(super) fn write_kubeconfigs(&self, url: &str, authority: &str) -> std::io::Result<()> {
        for user in USERS {
            let entry = kubeconfig::Entry {
                url,
                authority,
                user,
                token: &token(user),
                namespace: "default",
            };
            kubeconfig::write(&self.kubeconfig(user), &entry)?;
        }
        Ok(())
    }
}

/// The name of the token file in the folder.
pub(super) const TOKENS: &str = "tokens.csv";

/// The arguments of both clients of the API server.
fn component_flags() -> impl Iterator<Item = String> {
    [
        "--leader-elect=false",
        "--secure-port=0", // they serve nothing
        "--kube-api-qps=5000",
        "--kube-api-burst=5000",
        "--profiling=false",
    ]
    .into_iter()
    .map(str::to_owned)
}

/// Whether the API server responds to a GET with success.
async fn answers(client: &Client, path: &str) -> bool {
    match http::Request::get(path).body(Vec::new()) {
        Ok(request) => client.request_text(request).await.is_ok(),
        Err(_) => false,
    }
}

fn watches_pods(audit: &Audit) -> bool {
    let watches = audit.requests(|request| {
        request.user == SCHEDULER && request.verb == "watch" && request.resource == "pods"
    });
    watches.is_ok_and(|watches| !watches.is_empty())
}
