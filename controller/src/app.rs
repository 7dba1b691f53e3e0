//! Starts the parts of the controller, and runs them until a signal.

pub(crate) mod arguments;
pub(crate) mod check;
mod controllers;
pub(crate) mod hint;
mod hints;
mod notifications;
pub(crate) mod notify;
mod overview;
mod shutdown;
pub(crate) mod status;

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
    num::NonZeroU16,
    sync::Arc,
};

use kube_autorollout_cloud::RefreshObserver;
use tokio::{net::TcpListener, task::JoinSet};
use tokio_util::sync::CancellationToken;
use tracing::info;

use self::{
    controllers::{Controllers, Shared},
    shutdown::{Running, Signals},
};
use crate::{
    client::{self, Cluster},
    config::{Config, Namespaces},
    constants,
    leader_election::{
        leadership::{Addresses, Leadership},
        lease::Candidate,
        term_scoped::TermScoped,
    },
    metrics::{Metrics, registry_observer::Observer},
    registry::options::{self, CONTROLLER_REQUESTS},
    rollout::limiter::Limiter,
    server::{
        admin::{self, Scrape},
        connections::Service,
        health::Health,
    },
    status::{Reporter, recorder::Recorder},
    workload::{Kind, Watch},
};

/// Why the controller exited.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// No client for the API server can be built.
    #[error(transparent)]
    Client(#[from] client::Error),
    /// The port cannot be opened.
    #[error("cannot listen on port {port}")]
    Listen {
        /// The configured port.
        port: u16,
        /// The cause.
        source: std::io::Error,
    },
    /// No registry client can be built from the configuration and the environment.
    #[error(transparent)]
    Registry(#[from] options::Error),
    /// A metric has an invalid name.
    #[error("cannot create the metrics")]
    Metrics(#[from] prometheus::Error),
    /// The signal handlers cannot be installed.
    #[error("cannot install the signal handlers")]
    Signals(#[source] std::io::Error),
    /// A background task exited.
    #[error("{0} exited unexpectedly")]
    Ended(&'static str),
}

/// Runs the controller until it receives SIGINT or SIGTERM.
///
/// # Errors
///
/// [`Error`] if it cannot start, or a background task exits.
pub(crate) async fn run(
    config: Config,
    environment: &BTreeMap<String, String>,
) -> Result<(), Error> {
    let mut signals = Signals::new().map_err(Error::Signals)?;
    let metrics = Arc::new(Metrics::new()?);
    let observer = Arc::new(Observer::new(Arc::clone(&metrics)));
    let refreshes = Arc::clone(&observer) as Arc<dyn RefreshObserver>;
    let identities = options::identities(&config, environment, refreshes)?;
    let registry = options::registry_client(&config, environment, observer, CONTROLLER_REQUESTS)?;
    let cluster = client::connect(environment).await?;
    let watches = watches(&config.namespaces, &cluster.namespace);
    let leadership = Arc::new(Leadership::new(config.leader_election));
    let health = Arc::new(Health::new(watches.clone(), Arc::clone(&leadership)));
    let port = config.port.get();
    let listener = listen(port).await?;
    let instance = instance(environment);
    let limiter = Arc::new(Limiter::default());
    let (recorder, writer) = Recorder::new(
        cluster.client.clone(),
        Arc::clone(&metrics),
        instance.clone(),
        Arc::clone(&limiter),
    );
    info!(namespace = cluster.namespace, port, "started");

    let context = TermScoped::default();
    let overview = overview::service(&context, &leadership, &health, &instance)?;
    let scrape = scrape(&metrics, &leadership, &registry);
    let mut servers = servers(listener, &health, scrape, overview);
    let checks = hints::serve(&config, environment, &metrics, &leadership, &mut servers).await?;
    let release = CancellationToken::new();
    let (notifier, senders) = notifications::start(&config, environment, &metrics)?;
    let candidate = (&*instance, addresses(&config, environment));
    let mut running = Running {
        controllers: None,
        events: JoinSet::from_iter([writer]),
        senders,
        election: election(&leadership, &cluster, candidate, &release),
    };
    let shared = Shared {
        config,
        cluster,
        registry,
        identities,
        leadership,
        health: Arc::clone(&health),
        limiter,
        reporter: Arc::new(Reporter::new(metrics, recorder, notifier)),
        watches,
        checks,
        context,
    };
    let result = tokio::select! {
        () = signals.next() => Ok(()),
        () = terms(&shared, &mut running.controllers) => Err(Error::Ended("a controller")),
        _ = servers.join_next() => Err(Error::Ended("an HTTP server")),
        _ = running.events.join_next() => Err(Error::Ended("the writer of Events")),
        Some(_) = running.senders.tasks.join_next() => Err(Error::Ended("the notifier")),
        Some(_) = running.election.join_next() => Err(Error::Ended("the leader election")),
    };
    stop(shared, running, &release).await;
    result
}

/// Drains and stops everything.
async fn stop(shared: Shared, running: Running, release: &CancellationToken) {
    info!("stopping");
    shared.health.stop();
    // The writer of Events ends when the recorder is dropped.
    shared.end();
    drop(shared);
    running.drain(release).await;
    info!("stopped");
}

/// Runs one term of leadership after the other; returns if a controller exits, which none should.
async fn terms(shared: &Shared, controllers: &mut Option<Controllers>) {
    loop {
        shared.leadership.begun().await;
        let running = controllers.insert(Controllers::start(shared, &Kind::ALL));
        tokio::select! {
            () = shared.leadership.ended() => {}
            () = running.exited() => return,
        }
        shared.end();
        running.drain().await; // patches in flight complete before the Lease would have expired
        *controllers = None;
        shared.reporter.clear();
        shared.health.end_term();
    }
}

/// Encodes the current metrics.
fn scrape(
    metrics: &Arc<Metrics>,
    leadership: &Arc<Leadership>,
    registry: &kube_autorollout_registry::RegistryClient,
) -> Scrape {
    let (metrics, leadership) = (Arc::clone(metrics), Arc::clone(leadership));
    let registry = registry.clone();
    Arc::new(move || metrics.encode(leadership.leads(), &registry.quarantined()))
}

/// Serves health, metrics and the overview.
fn servers(
    listener: TcpListener,
    health: &Arc<Health>,
    scrape: Scrape,
    overview: Service,
) -> JoinSet<()> {
    let mut servers = JoinSet::new();
    servers.spawn(admin::serve(listener, Arc::clone(health), scrape, overview));
    let health = Arc::clone(health);
    servers.spawn(async move { health.keep_beating().await });
    servers
}

async fn listen(port: u16) -> Result<TcpListener, Error> {
    let listener = admin::listen(port).await;
    listener.map_err(|source| Error::Listen { port, source })
}

/// Runs the leader election, if it is enabled, until `release` is cancelled and the Lease is released.
fn election(
    leadership: &Leadership,
    cluster: &Cluster,
    (instance, addresses): (&str, Addresses),
    release: &CancellationToken,
) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    if let Some(election) = leadership.election() {
        let (client, election) = (cluster.client.clone(), Arc::clone(election));
        let candidate = Candidate::new(client, &cluster.namespace, instance, addresses, election);
        tasks.spawn(candidate.run(release.clone()));
    }
    tasks
}

/// A watch for each kind: in each namespace by itself, so that a Role in each is sufficient, or in the whole cluster.
fn watches(namespaces: &Namespaces, own: &str) -> Vec<Watch> {
    let scopes = match namespaces {
        Namespaces::Own => vec![Some(own.to_owned())],
        Namespaces::Listed(names) => names.iter().cloned().map(Some).collect(),
        Namespaces::All => vec![None],
    };
    let kinds = |scope: Option<String>| Kind::ALL.map(|kind| (kind.name(), scope.clone()));
    scopes.into_iter().flat_map(kinds).collect()
}

/// The addresses at which other replicas reach this one while it leads; the chart sets `POD_IP`.
fn addresses(config: &Config, environment: &BTreeMap<String, String>) -> Addresses {
    let ip = environment.get("POD_IP").and_then(|ip| ip.parse().ok());
    let address = |port: NonZeroU16| ip.map(|ip: IpAddr| SocketAddr::new(ip, port.get()));
    let takes_hints = !config.hints.receivers.is_empty();
    Addresses {
        hints: address(config.hints.port).filter(|_| takes_hints),
        overview: address(config.port),
    }
}

/// The name of this replica in Events and the Lease: that of its pod.
fn instance(environment: &BTreeMap<String, String>) -> String {
    let pod = environment
        .get("POD_NAME")
        .or_else(|| environment.get("HOSTNAME"));
    pod.cloned().unwrap_or_else(|| constants::NAME.to_owned())
}

#[cfg(test)]
mod tests;
