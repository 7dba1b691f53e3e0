//! The testbed that all tests of one binary share, and the namespaces in which they keep out of each other's way.

use std::{
    error::Error as StdError,
    future::pending,
    io,
    path::{Path, PathBuf},
    sync::{
        OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use k8s_openapi::api::core::v1::{Namespace as Object, ServiceAccount};
use kube::{
    Api, Client,
    api::{DeleteParams, ObjectMeta, PostParams},
    runtime::wait::await_condition,
};
use tokio::{
    runtime::Runtime,
    sync::{mpsc, watch},
    task::JoinSet,
    time::timeout,
};

use crate::{
    control_plane::{self, ControlPlane},
    controller::{self, Controller, SERVICE_ACCOUNT},
    node::{Nodes, NodesError, NodesOptions},
    process::Port,
    programs::{self, Programs},
    registry::{self, ALICE, Access, Registry},
};

/// How long the controller-manager may take to give a new namespace its `ServiceAccount`.
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
    /// The simulated nodes did not start or do not know a registry.
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
    nodes: Nodes,
    control_plane: ControlPlane,
    registry: Registry,
    /// Names of namespaces that nobody needs any more.
    leftovers: mpsc::UnboundedSender<String>,
    _tasks: JoinSet<()>,
}

impl Testbed {
    /// Starts everything, with tasks on the current runtime.
    ///
    /// # Errors
    ///
    /// When a server does not become ready.
    pub async fn start(programs: Programs) -> Result<Self, Error> {
        let (control_plane, registry) = tokio::try_join!(
            async { ControlPlane::start(&programs).await.map_err(Error::from) },
            async {
                let registry = Registry::start(&programs, Access::Plain).await;
                registry.map_err(Error::from)
            },
        )?;
        let nodes = Nodes::start(control_plane.client(), NodesOptions::default()).await?;
        let (leftovers, names) = mpsc::unbounded_channel();
        let mut tasks = JoinSet::new();
        tasks.spawn(delete(control_plane.client(), names));
        Ok(Self {
            programs,
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
    /// When none is to be had.
    pub fn port(&self) -> io::Result<Port> {
        Port::reserve(&self.programs.ports())
    }

    /// Runs containers of `repository`, in the shared registry, as processes of the program `file`.
    ///
    /// # Errors
    ///
    /// When the files of the program cannot be had.
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
        let started = Controller::start(programs, program, &kubeconfig, configuration, path);
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

    /// Makes a namespace that no other test has, whose name begins with `hint`, with its default `ServiceAccount`.
    ///
    /// # Errors
    ///
    /// When it cannot be made, or gets no `ServiceAccount`.
    pub async fn namespace(&self, hint: &str) -> Result<Namespace, Error> {
        static COUNT: AtomicUsize = AtomicUsize::new(1);
        let name = format!("{hint}-{}", COUNT.fetch_add(1, Ordering::Relaxed));
        let object = Object {
            metadata: ObjectMeta {
                name: Some(name.clone()),
                ..ObjectMeta::default()
            },
            ..Object::default()
        };
        let client = self.client();
        let created = Api::<Object>::all(client.clone())
            .create(&PostParams::default(), &object)
            .await;
        if let Err(error) = created {
            let source = Box::new(error);
            return Err(Error::Namespace { name, source });
        }
        let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), &name);
        let is_there = |account: Option<&ServiceAccount>| account.is_some();
        let account = await_condition(accounts, "default", is_there);
        match timeout(ACCOUNT_WITHIN, account).await {
            Ok(Ok(_)) => Ok(Namespace {
                name,
                client,
                leftovers: self.leftovers.clone(),
            }),
            _ => Err(Error::ServiceAccount { name }),
        }
    }

    /// Leaves the logs of the servers on the disk for good, and tells where.
    pub fn keep_logs(&self) -> [PathBuf; 2] {
        [self.control_plane.folder(), self.registry.folder()].map(|folder| {
            folder.keep();
            folder.path().to_owned()
        })
    }

    /// Keeps the logs when a test fails, as a testbed in a `static` is never dropped.
    fn keep_logs_on_panic(&self) {
        self.control_plane.folder().keep_on_panic();
        self.registry.folder().keep_on_panic();
    }
}

/// A namespace of one test, deleted some time after it is dropped.
pub struct Namespace {
    name: String,
    client: Client,
    leftovers: mpsc::UnboundedSender<String>,
}

impl Namespace {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// An administrator's client for the runtime on which the namespace was made.
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// An API for one kind of object in this namespace, with an administrator's rights.
    pub fn api<K>(&self) -> Api<K>
    where
        K: kube::Resource<Scope = kube::core::NamespaceResourceScope, DynamicType = ()>,
    {
        Api::namespaced(self.client.clone(), &self.name)
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // Nobody listens when the testbed itself is gone, and the namespace with it
        drop(self.leftovers.send(self.name.clone()));
    }
}

/// Deletes namespaces as they are left over; a failure costs nothing but some memory of the API server.
async fn delete(client: Client, mut names: mpsc::UnboundedReceiver<String>) {
    let namespaces: Api<Object> = Api::all(client);
    while let Some(name) = names.recv().await {
        if let Err(error) = namespaces.delete(&name, &DeleteParams::default()).await {
            tracing::debug!(name, %error, "a namespace is left behind");
        }
    }
}

/// A testbed of the caller's own, on the current runtime, for faults that would disturb everybody else.
///
/// # Panics
///
/// When it cannot be started: a test cannot go on without.
#[expect(
    clippy::panic,
    reason = "for tests, of which none can go on without its testbed"
)]
pub async fn alone() -> Testbed {
    let started = async { Testbed::start(Programs::find(&print)?).await };
    match started.await {
        Ok(testbed) => testbed,
        Err(error) => panic!("{}", with_sources(&error)),
    }
}

/// The testbed of this process, started by the first caller on a thread of its own, so that the runtimes of tests may
/// come and go. It ends with the process, however that ends.
///
/// # Panics
///
/// When it cannot be started: a test cannot go on without.
#[expect(
    clippy::panic,
    reason = "for tests, of which none can go on without its testbed"
)]
pub async fn shared() -> &'static Testbed {
    static ATTEMPT: OnceLock<watch::Receiver<bool>> = OnceLock::new();
    static TESTBED: OnceLock<Result<Testbed, Error>> = OnceLock::new();
    let mut done = ATTEMPT.get_or_init(|| in_background(&TESTBED)).clone();
    // An error means that the thread is gone; what it left says why
    drop(done.wait_for(|done| *done).await);
    match TESTBED.get() {
        Some(Ok(testbed)) => testbed,
        Some(Err(error)) => panic!("{}", with_sources(error)),
        None => panic!("the testbed's thread ended"),
    }
}

/// Starts a testbed into `place` on a new thread, which lives on; the receiver turns true when that is over.
fn in_background(place: &'static OnceLock<Result<Testbed, Error>>) -> watch::Receiver<bool> {
    let (sender, receiver) = watch::channel(false);
    thread::spawn(move || {
        let runtime = Runtime::new();
        let testbed = Programs::find(&print).map_err(Error::from);
        match (runtime, testbed) {
            (Ok(runtime), Ok(programs)) => runtime.block_on(async {
                let testbed = Testbed::start(programs).await;
                let testbed = place.get_or_init(|| testbed);
                if let Ok(testbed) = testbed {
                    testbed.keep_logs_on_panic();
                }
                sender.send_replace(true);
                pending::<()>().await;
            }),
            (Err(error), _) => drop(place.set(Err(error.into()))),
            (_, Err(error)) => drop(place.set(Err(error))),
        }
    });
    receiver
}

#[expect(
    clippy::print_stderr,
    reason = "a test's only way to say what it waits for, for minutes"
)]
fn print(progress: &programs::Progress) {
    eprintln!("{progress}");
}

/// An error in one line with all that caused it.
pub fn with_sources(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
