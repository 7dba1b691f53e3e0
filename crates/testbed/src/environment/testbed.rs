//! A control plane with simulated nodes and a registry.

use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use k8s_openapi::api::core::v1::ServiceAccount;
use kube::{Api, Client, runtime::wait::await_condition};
use tokio::{sync::mpsc, task::JoinSet, time::timeout};

use super::namespace::{self, Namespace};

use crate::{
    control_plane::{self, ControlPlane, NodeGrace},
    controller::{self, Controller, SERVICE_ACCOUNT},
    node::{Nodes, NodesError, NodesOptions},
    process::Port,
    programs::{self, Programs},
    registry::{self, ALICE, Access, Registry},
};

/// How long the controller-manager may take to create the `ServiceAccount` of a new namespace.
const ACCOUNT_WITHIN: Duration = Duration::from_secs(30);

/// Why the testbed is not there.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A program is missing.
    #[error("the testbed lacks a program")]
    Programs(#[from] programs::Error),
    /// The control plane did not start.
    #[error("the testbed has no control plane")]
    ControlPlane(#[from] control_plane::Error),
    /// A registry did not start.
    #[error("the testbed has no registry")]
    Registry(#[from] registry::Error),
    /// The simulated nodes did not start, or a registry could not be added to them.
    #[error("the testbed has no nodes")]
    Nodes(#[from] NodesError),
    /// The thread for the testbed's own tasks could not be started.
    #[error("could not start a runtime for the testbed")]
    Runtime(#[from] io::Error),
    /// The controller did not start.
    #[error("the testbed has no controller")]
    Controller(#[from] controller::Error),
    /// A namespace could not be made.
    #[error("could not make the namespace {name}")]
    Namespace {
        /// Its name.
        name: String,
        /// Why.
        source: Box<kube::Error>,
    },
    /// A namespace got no `ServiceAccount` in time.
    #[error("the namespace {name} got no default service account")]
    ServiceAccount {
        /// The namespace.
        name: String,
    },
}

/// A control plane with simulated nodes and a plain registry, stopped on drop.
pub struct Testbed {
    programs: Programs,
    grace: NodeGrace,
    nodes: Nodes,
    control_plane: ControlPlane,
    registry: Registry,
    /// Names of namespaces that are no longer needed.
    leftovers: mpsc::UnboundedSender<String>,
    _tasks: JoinSet<()>,
}

impl Testbed {
    /// Starts everything, with tasks on the current runtime.
    ///
    /// # Errors
    ///
    /// When a server does not become ready.
    pub async fn start(programs: Programs, grace: NodeGrace) -> Result<Self, Error> {
        let (control_plane, registry) = tokio::try_join!(
            async {
                let control_plane = ControlPlane::start(&programs, grace).await;
                control_plane.map_err(Error::from)
            },
            async {
                let registry = Registry::start(&programs, Access::Plain).await;
                registry.map_err(Error::from)
            },
        )?;
        let options = NodesOptions {
            heartbeat: grace.heartbeat(),
            ..NodesOptions::default()
        };
        let nodes = Nodes::start(control_plane.client(), options).await?;
        let (leftovers, names) = mpsc::unbounded_channel();
        let mut tasks = JoinSet::new();
        tasks.spawn(namespace::delete(control_plane.client(), names));
        Ok(Self {
            programs,
            grace,
            nodes,
            control_plane,
            registry,
            leftovers,
            _tasks: tasks,
        })
    }

    /// The programs, to start more servers with.
    pub fn programs(&self) -> &Programs {
        &self.programs
    }

    /// The control plane.
    pub fn control_plane(&self) -> &ControlPlane {
        &self.control_plane
    }

    /// The registry that is reached over plain HTTP.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// The nodes that run the pods of all tests.
    pub fn nodes(&self) -> &Nodes {
        &self.nodes
    }

    /// A port of 127.0.0.1 for a pod that runs for real ([`Nodes::run_for_real`]), as pods have no network of their own.
    ///
    /// # Errors
    ///
    /// When none is free.
    pub fn port(&self) -> io::Result<Port> {
        Port::reserve(&self.programs.ports())
    }

    /// Runs containers of `repository`, in the shared registry, as processes of the program `file`.
    ///
    /// # Errors
    ///
    /// When the files of the program cannot be read.
    pub fn run_for_real(&self, repository: &str, file: &Path) -> Result<(), Error> {
        let address = self.control_plane.address();
        let repository = format!("{}/{repository}", self.registry.host());
        Ok(self.nodes.run_for_real(&repository, file, address)?)
    }

    /// Starts a registry of the caller's own, from which the nodes pull too, as [`ALICE`] where a login is asked for.
    ///
    /// # Errors
    ///
    /// When it does not become ready.
    pub async fn start_registry(&self, access: Access) -> Result<Registry, Error> {
        let registry = Registry::start(&self.programs, access).await?;
        self.nodes.add_registry(registry.access_as(ALICE))?;
        Ok(registry)
    }

    /// Starts the controller with the rights that it was granted in a namespace; see [`Controller::start`].
    ///
    /// # Errors
    ///
    /// When it gets no token, or does not start.
    pub async fn start_controller(
        &self,
        namespace: &Namespace,
        program: &Path,
        configuration: &str,
        path: &'static str,
    ) -> Result<Controller, Error> {
        let kubeconfig = self
            .control_plane
            .kubeconfig_for(namespace.name(), SERVICE_ACCOUNT)
            .await?;
        let programs = &self.programs;
        let started = Controller::start(programs, program, &kubeconfig, configuration, path, &[]);
        Ok(started.await?)
    }

    /// A new client of an administrator, for the current runtime.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub fn client(&self) -> Client {
        self.control_plane.client()
    }

    /// Starts more nodes, beside those that run the pods of all tests. Their heartbeat is the one that suits this control
    /// plane, whatever the options say.
    ///
    /// # Errors
    ///
    /// As [`Nodes::start`].
    pub async fn start_nodes(&self, options: NodesOptions) -> Result<Nodes, Error> {
        let options = NodesOptions {
            heartbeat: self.grace.heartbeat(),
            ..options
        };
        Ok(Nodes::start(self.client(), options).await?)
    }

    /// Makes a namespace that no other test has, whose name begins with `hint`, with its default `ServiceAccount`.
    ///
    /// # Errors
    ///
    /// When it cannot be made, or gets no `ServiceAccount`.
    pub async fn namespace(&self, hint: &str) -> Result<Namespace, Error> {
        let client = self.client();
        let namespace = Namespace::create(client.clone(), hint, self.leftovers.clone()).await;
        let namespace = namespace.map_err(|(name, source)| Error::Namespace {
            name,
            source: Box::new(source),
        })?;
        let accounts: Api<ServiceAccount> = Api::namespaced(client, namespace.name());
        let is_there = |account: Option<&ServiceAccount>| account.is_some();
        let account = await_condition(accounts, "default", is_there);
        match timeout(ACCOUNT_WITHIN, account).await {
            Ok(Ok(_)) => Ok(namespace),
            _ => Err(Error::ServiceAccount {
                name: namespace.name().to_owned(),
            }),
        }
    }

    /// Keeps the logs of the servers on disk, and returns their folders.
    pub fn keep_logs(&self) -> [PathBuf; 2] {
        [self.control_plane.folder(), self.registry.folder()].map(|folder| {
            folder.keep();
            folder.path().to_owned()
        })
    }

    /// Keeps the logs when a test fails, as a testbed in a `static` is never dropped.
    pub(super) fn keep_logs_on_panic(&self) {
        self.control_plane.folder().keep_on_panic();
        self.registry.folder().keep_on_panic();
    }
}
