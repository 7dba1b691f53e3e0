//! Simulated nodes: real Node objects, and pods that run by having their status written.
//!
//! They handle images as the kubelet and containerd do, because that is what a controller that compares digests is up
//! against. Before **every** start of a container, and after every pause of a failed pull, the pull policy decides
//! whether the registry is asked; a container's `imageID` is the first name in the alphabet that its node has pulled the
//! running config under, and it changes while the container runs when another pull adds a name that sorts before it.
//!
//! An image of [`Nodes::run_for_real`] is run as a process, with what its pod mounts, and probed. All others are not: they
//! have no volumes and no probes; labels of the image decide whether they become ready ([`crate::image::Behaviour`]).
//!
//! Left out: images changed in a pod that already runs, Events, and the pull secrets of pods, in whose place stand the
//! [`NodesOptions::registries`] that every pod may use.

mod back_off;
mod faults;
mod fleet;
mod host;
mod images;
mod journal;
mod kubelet;
mod options;
mod pod;
mod process;
mod readiness;
mod running;

use std::{fs, io, net::SocketAddr, path::Path, sync::Arc, time::Duration};

use kube::Client;
use oci_spec::distribution::Reference;
use tokio::task::JoinSet;

use crate::image::{Image, RegistryAccess, RequestError};
use fleet::Fleet;
use images::store::ImageFacts;
use kubelet::{registration, watch};
use process::Real;

pub use back_off::BackOff;
pub use images::platform::Platform;
pub use images::runtime::Runtime;
pub(crate) use options::POOL;
pub use options::{Capacity, NodesOptions, Scheduling, Speed};
pub use readiness::Pods;
pub use running::{Ran, RunningContainer};

/// Why nodes could not be started or changed.
#[derive(Debug, thiserror::Error)]
pub enum NodesError {
    /// The API server did not take a node.
    #[error("register the node {node}")]
    Register {
        /// The name of the node.
        node: String,
        /// The error of the API server or the connection.
        #[source]
        source: Box<kube::Error>,
    },
    /// A registry that cannot be asked as it is described.
    #[error("set up the way to a registry")]
    Registry(#[from] RequestError),
    /// A name that is no image reference.
    #[error("read the image reference {text}")]
    Reference {
        /// The given text.
        text: String,
        /// What is wrong with it.
        #[source]
        source: oci_spec::distribution::ParseError,
    },
    /// A node that is none of these.
    #[error("there is no node {name}")]
    NoNode {
        /// The given text.
        name: String,
    },
    /// The program that stands for an image cannot be read.
    #[error("prepare the program of an image")]
    Real(#[from] io::Error),
}

/// Simulated nodes, until this is dropped. The Node objects stay, and become `NotReady` after a while.
pub struct Nodes {
    fleet: Arc<Fleet>,
    _tasks: JoinSet<()>, // dropping it stops them
}

impl Nodes {
    /// Registers the nodes and runs, on the current runtime, every pod that is bound to one of them.
    ///
    /// # Errors
    ///
    /// [`NodesError::Register`], and [`NodesError::Registry`] for a CA certificate that cannot be read.
    pub async fn start(client: Client, options: NodesOptions) -> Result<Self, NodesError> {
        let fleet = Arc::new(Fleet::new(client, &options)?);
        for host in &fleet.hosts {
            let registered = registration::register(&fleet.client, host).await;
            registered.map_err(|error| NodesError::Register {
                node: host.name.clone(),
                source: Box::new(error),
            })?;
        }
        let mut tasks = JoinSet::new();
        tasks.spawn(registration::renew_leases(Arc::clone(&fleet)));
        tasks.spawn(watch::run(Arc::clone(&fleet)));
        Ok(Self {
            fleet,
            _tasks: tasks,
        })
    }

    /// How a registry is reached from now on, for example after it was given another certificate.
    ///
    /// # Errors
    ///
    /// [`NodesError::Registry`] for a CA certificate that cannot be read.
    pub fn add_registry(&self, access: RegistryAccess) -> Result<(), NodesError> {
        Ok(self.fleet.add_registry(access)?)
    }

    /// Sets the duration of every later download. On nodes that tests share, [`Image::download`] does not affect others.
    pub fn set_pull_duration(&self, duration: Duration) {
        self.fleet.set_pull_duration(duration);
    }

    /// Puts an image on every node as `kind load` does, under a name and without a digest.
    ///
    /// # Errors
    ///
    /// [`NodesError::Reference`] for a name that is none.
    pub fn preload(&self, reference: &str, image: &Image) -> Result<(), NodesError> {
        let parsed: Result<Reference, _> = reference.parse();
        let parsed = parsed.map_err(|source| NodesError::Reference {
            text: reference.to_owned(),
            source,
        })?;
        for host in &self.fleet.hosts {
            host.change_images(|images| images.add(&parsed, None, ImageFacts::of(image)));
        }
        Ok(())
    }

    /// Runs containers whose image is in `repository` as processes of the program `file`, in a root folder of their own
    /// and as their pod's user, which takes the rights of root. The image itself is still to be pushed, as it is pulled.
    ///
    /// # Errors
    ///
    /// [`NodesError::Real`] when the files of the program cannot be read.
    pub fn run_for_real(
        &self,
        repository: &str,
        file: &Path,
        api_server: SocketAddr,
    ) -> Result<(), NodesError> {
        self.fleet
            .add_real(repository, Real::new(file, api_server)?);
        Ok(())
    }

    /// The output of the processes of a container of this image.
    pub fn log(&self, image: &str, namespace: &str, pod: &str, container: &str) -> String {
        let real = self.fleet.real(image);
        let log = real.map(|real| real.log(namespace, pod, container));
        log.and_then(|log| fs::read_to_string(log).ok())
            .unwrap_or_default()
    }

    /// Lets a container's process hang (SIGSTOP); its connections stay open. Returns whether there was one.
    pub fn freeze(&self, image: &str, namespace: &str, pod: &str, container: &str) -> bool {
        let real = self.fleet.real(image);
        real.is_some_and(|real| real.freeze(namespace, pod, container))
    }

    /// Removes an image under all its names from every node; containers that run it keep running.
    pub fn remove_image(&self, image: &Image) {
        let config = image.config_digest();
        for host in &self.fleet.hosts {
            host.change_images(|images| images.remove(&config));
        }
    }

    /// The names of the nodes.
    pub fn names(&self) -> Vec<String> {
        let hosts = self.fleet.hosts.iter();
        hosts.map(|host| host.name.clone()).collect()
    }

    /// From now on every change of what runs is noted, for [`Nodes::journal`].
    pub fn keep_journal(&self) {
        self.fleet.journal.keep();
    }

    /// All changes since [`Nodes::keep_journal`], oldest first.
    pub fn journal(&self) -> Vec<Ran> {
        self.fleet.journal.changes()
    }

    /// The containers that run in a namespace, in the order of their pods' and their own names.
    pub fn running(&self, namespace: &str) -> Vec<RunningContainer> {
        self.fleet.running(namespace)
    }
}
