//! The state that all workers share: nodes and their images, registry clients, the speed, and what runs.

use std::{
    collections::HashMap,
    net::Ipv4Addr,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use kube::Client;
use oci_spec::distribution::Reference;
use parking_lot::Mutex;
use tokio::{
    sync::{Notify, Semaphore, broadcast},
    time::sleep,
};

use super::{
    host::Host,
    images::{
        failure::PullFailure,
        names::Digests,
        pull::pull,
        store::{ImageFacts, Provided},
    },
    journal::Journal,
    options::{NodesOptions, Speed},
    pod::container::PullPolicy,
    process::Real,
    readiness::Unready,
    running::RunningContainer,
};
use crate::image::{self, RegistryAccess, RequestError};

/// How many requests of pods to the API server are under way at once.
const AT_ONCE: usize = 32;

/// The `User-Agent` of every pull.
const USER_AGENT: &str = "testbed-kubelet";

/// Crashes that a pod's worker may be behind.
const CRASHES: usize = 64;

/// A container whose process is to end with an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Victim {
    pub(super) namespace: String,
    pub(super) pod: String,
    pub(super) container: String,
}

/// The nodes and what they have in common.
pub(super) struct Fleet {
    pub(super) client: Client,
    /// For requests to the API server: thousands at once would open a connection each.
    turns: Semaphore,
    pub(super) hosts: Vec<Host>,
    registries: Mutex<HashMap<String, image::Client>>,
    /// By the registry in whose place they are asked, as a runtime's mirrors are.
    mirrors: Mutex<HashMap<String, image::Client>>,
    speed: Mutex<Speed>,
    /// From one renewal of the Leases to the next.
    pub(super) heartbeat: Duration,
    /// A node is cut off, or is back.
    pub(super) comings: Notify,
    pub(super) journal: Journal,
    pub(super) unready: Unready,
    /// Containers that crash.
    pub(super) crashes: broadcast::Sender<Victim>,
    addresses: AtomicU32,
    /// By their repositories, the images that run for real.
    real: Mutex<HashMap<String, Arc<Real>>>,
}

impl Fleet {
    /// The nodes of these options, not yet registered.
    pub(super) fn new(client: Client, options: &NodesOptions) -> Result<Self, RequestError> {
        let hosts = (1..=options.count).map(|number| Host::new(options, number));
        let fleet = Self {
            client,
            turns: Semaphore::new(AT_ONCE),
            hosts: hosts.collect(),
            registries: Mutex::default(),
            mirrors: Mutex::default(),
            speed: Mutex::new(options.speed),
            heartbeat: options.heartbeat,
            comings: Notify::new(),
            journal: Journal::default(),
            unready: Unready::default(),
            crashes: broadcast::Sender::new(CRASHES),
            addresses: AtomicU32::new(1),
            real: Mutex::default(),
        };
        for access in &options.registries {
            fleet.add_registry(access.clone())?;
        }
        Ok(fleet)
    }

    /// Makes a request to the API server when it is its turn.
    pub(super) async fn in_turn<T>(&self, request: impl Future<Output = T>) -> T {
        // It is never closed, and without a turn a request is made all the same
        let _turn = self.turns.acquire().await;
        request.await
    }

    /// The node with this name, if it is one of ours.
    pub(super) fn host(&self, name: &str) -> Option<&Host> {
        self.hosts.iter().find(|host| host.name == name)
    }

    /// An address that no other pod has.
    pub(super) fn pod_address(&self) -> Ipv4Addr {
        let number = self.addresses.fetch_add(1, Ordering::Relaxed);
        Ipv4Addr::from_bits(Ipv4Addr::new(10, 128, 0, 0).to_bits() | (number & 0x007f_ffff))
    }

    /// From now on, containers of this repository run for real.
    pub(super) fn add_real(&self, repository: &str, real: Real) {
        self.real
            .lock()
            .insert(repository.to_owned(), Arc::new(real));
    }

    /// How a container of this image runs for real, if it does.
    pub(super) fn real(&self, image: &str) -> Option<Arc<Real>> {
        let real = self.real.lock();
        if real.is_empty() {
            return None;
        }
        let reference: Reference = image.parse().ok()?;
        let repository = format!("{}/{}", reference.registry(), reference.repository());
        real.get(&repository).cloned()
    }

    pub(super) fn speed(&self) -> Speed {
        *self.speed.lock()
    }

    pub(super) fn set_pull_duration(&self, duration: Duration) {
        self.speed.lock().pull = duration;
    }

    pub(super) fn add_registry(&self, access: RegistryAccess) -> Result<(), RequestError> {
        let host = access.host().to_owned();
        let client = image::Client::new(access, USER_AGENT)?;
        self.registries.lock().insert(host, client);
        Ok(())
    }

    /// From now on this mirror is asked in the place of a registry; without one, the registry itself.
    pub(super) fn set_mirror(
        &self,
        registry: &str,
        mirror: Option<RegistryAccess>,
    ) -> Result<(), RequestError> {
        let client = mirror.map(|access| image::Client::new(access, USER_AGENT));
        let mut mirrors = self.mirrors.lock();
        match client.transpose()? {
            Some(client) => mirrors.insert(registry.to_owned(), client),
            None => mirrors.remove(registry),
        };
        Ok(())
    }

    /// The way to a registry: its mirror, or as it was added, or over plain HTTP on loopback, as containerd does.
    fn registry(&self, host: &str) -> Option<image::Client> {
        if let Some(client) = self.mirrors.lock().get(host) {
            return Some(client.clone());
        }
        if let Some(client) = self.registries.lock().get(host) {
            return Some(client.clone());
        }
        let name = host.split(':').next().unwrap_or_default();
        let loopback = name == "localhost"
            || name
                .parse()
                .is_ok_and(|address: Ipv4Addr| address.is_loopback());
        if !loopback {
            return None;
        }
        self.add_registry(RegistryAccess::new(host)).ok()?;
        self.registries.lock().get(host).cloned()
    }

    /// Sees to it that the image of a container is on a node, as its pull policy asks for.
    pub(super) async fn ensure_image(
        &self,
        host: &Host,
        image: &str,
        policy: PullPolicy,
    ) -> Result<Provided, PullFailure> {
        let parsed: Result<Reference, _> = image.parse();
        let reference = parsed.map_err(|_| PullFailure::invalid_name(image))?;
        let present = host.images(|images| images.find(&reference).cloned());
        match (policy, present) {
            (PullPolicy::IfNotPresent | PullPolicy::Never, Some(facts)) => {
                return Ok(host.provide(facts, None));
            }
            (PullPolicy::Never, None) => return Err(PullFailure::never_pull(image)),
            (PullPolicy::Always, _) | (PullPolicy::IfNotPresent, None) => {}
        }
        let registry = self
            .registry(reference.registry())
            .ok_or_else(|| PullFailure::unknown_host(image, reference.registry()))?;
        let pulled = pull(&registry, &reference, &host.images, &host.platform)
            .await
            .map_err(|error| PullFailure::failed(image, &error))?;
        if !host.images(|images| images.has(&pulled.facts.config)) {
            sleep(self.speed().pull + pulled.facts.download).await;
        }
        let digests = Digests {
            target: &pulled.target,
            manifest: &pulled.manifest,
        };
        let facts = pulled.facts;
        host.change_images(|images| images.add(&reference, Some(digests), facts.clone()));
        Ok(host.provide(facts, Some(pulled.target)))
    }

    /// What runs in a namespace.
    pub(super) fn running(&self, namespace: &str) -> Vec<RunningContainer> {
        let mut running = self.journal.running(namespace);
        for container in &mut running {
            let undecided = container.image_id.is_empty();
            if let Some(host) = self.host(&container.node).filter(|_| undecided) {
                container.image_id =
                    host.images(|images| images.image_id(&container.config_digest));
            }
        }
        running
    }
}

impl ImageFacts {
    /// The facts that a pull of this image would yield.
    pub(super) fn of(image: &image::Image) -> Self {
        Self {
            config: image.config_digest(),
            marker: image.label(image::MARKER_LABEL).to_owned(),
            behaviour: image::Behaviour::from_label(image.label(image::BEHAVIOUR_LABEL)),
            download: Duration::ZERO,
        }
    }
}
