//! Wires everything together and runs it until asked to stop.

pub(crate) mod shutdown;

use std::{collections::BTreeMap, sync::Arc};

use futures::{StreamExt as _, stream};
use kube_autorollout_core::annotations::{KUBECTL_RESTARTED_AT, RESTARTED_AT};
use kube_autorollout_registry as registry;
use tokio::{net::TcpListener, task::JoinSet};
use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::{
    app::shutdown::{Running, Signals},
    client::{self, Cluster},
    config::{Config, Namespaces},
    constants,
    controller::context::Context,
    controller::count,
    controller::informer as watch,
    controller::queue,
    controller::reconciler as reconcile,
    controller::retry::Retries,
    controller::selected::Selected,
    controller::triggers::Wake,
    leader_election::leadership::Leadership,
    leader_election::lease::Candidate,
    metrics::Metrics,
    metrics::registry_observer::Observer,
    observe::nodes::Nodes,
    observe::pods,
    observe::tags::Checker,
    registry::credentials::Credentials,
    registry::options::{self, CONTROLLER_REQUESTS},
    rollout::budget::Budget,
    rollout::history::Memory,
    rollout::limiter::Patches,
    rollout::{Conflicts, Unconfirmed},
    server::health::{Health, Watch},
    server::http::{self, Scrape},
    status::Reports,
    status::recorder::Events,
    workload::Kind,
};

/// Reconciles at once, of each watch: most of them wait for a registry, and none of them for another's.
const RECONCILES: usize = 128;

/// Why the controller ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// There is no way to the API server.
    #[error(transparent)]
    Client(#[from] client::Error),
    /// The port cannot be opened.
    #[error("cannot listen on port {port}")]
    Listen {
        /// As configured.
        port: u16,
        /// Why.
        source: std::io::Error,
    },
    /// The configuration or the environment asks for what no registry client can do.
    #[error(transparent)]
    Registry(#[from] options::Error),
    /// A metric has an impossible name.
    #[error("cannot make the metrics")]
    Metrics(#[from] prometheus::Error),
    /// The signals cannot be listened to.
    #[error("cannot listen to signals")]
    Signals(#[source] std::io::Error),
    /// Something that runs for ever did not.
    #[error("{0} exited unexpectedly")]
    Ended(&'static str),
}

/// Runs the controller until it is asked to stop.
///
/// # Errors
///
/// [`Error`] when it cannot start, or cannot go on.
pub(crate) async fn run(
    config: Config,
    environment: &BTreeMap<String, String>,
) -> Result<(), Error> {
    let mut asked = Signals::new().map_err(Error::Signals)?;
    let metrics = Arc::new(Metrics::new()?);
    let observer = Arc::new(Observer::new(Arc::clone(&metrics)));
    let registry = options::client(&config, environment, observer, CONTROLLER_REQUESTS)?;
    let cluster = client::connect(environment).await?;
    let scopes = scopes(&config.namespaces, &cluster.namespace);
    let watches = watches(&scopes);
    let leadership = Arc::new(Leadership::new(config.leader_election));
    let health = Arc::new(Health::new(watches.clone(), Arc::clone(&leadership)));
    let port = config.port.get();
    let listener = http::listen(port)
        .await
        .map_err(|source| Error::Listen { port, source })?;
    let instance = instance(environment);
    let patches = Arc::new(Patches::default());
    let (events, writer) = Events::new(
        cluster.client.clone(),
        Arc::clone(&metrics),
        instance.clone(),
        Arc::clone(&patches),
    );
    let wake = Arc::new(Wake::default());
    let reports = Reports::new(Arc::clone(&metrics), events, Arc::clone(&leadership));
    let context = context(
        &config,
        &cluster,
        &registry,
        reports,
        &watches,
        (&wake, &leadership, &patches),
    );
    let context = Arc::new(context);
    info!(namespace = cluster.namespace, port, "started");

    let mut servers = servers(listener, &health, &metrics, &context);
    let shared = (&cluster, &health, &*wake, &context);
    let release = CancellationToken::new();
    let mut running = Running {
        controllers: controllers(&scopes, shared),
        events: JoinSet::from_iter([writer]),
        elections: elections(&leadership, &cluster, &instance, &context, &release),
    };
    let result = tokio::select! {
        () = asked.next() => Ok(()),
        _ = running.controllers.join_next() => Err(Error::Ended("a controller")),
        _ = servers.join_next() => {
            Err(Error::Ended("a background task (HTTP server, health or timers)"))
        }
        _ = running.events.join_next() => Err(Error::Ended("the recorder of Events")),
        Some(_) = running.elections.join_next() => Err(Error::Ended("the leader election")),
    };
    info!("stopping");
    health.stop();
    context.stop.cancel();
    // The queue of Events ends when nobody is left to fill it.
    drop(context);
    running.drain(&release).await;
    info!("stopped");
    result
}

/// Serves health and metrics, and keeps time.
fn servers(
    listener: TcpListener,
    health: &Arc<Health>,
    metrics: &Arc<Metrics>,
    context: &Arc<Context>,
) -> JoinSet<()> {
    let mut servers = JoinSet::new();
    let (metrics, leadership) = (Arc::clone(metrics), Arc::clone(&context.leadership));
    let registry = context.registry.clone();
    let scrape: Scrape =
        Arc::new(move || metrics.encode(leadership.leads(), &registry.quarantined()));
    servers.spawn(http::serve(listener, Arc::clone(health), scrape));
    let health = Arc::clone(health);
    servers.spawn(async move { health.keep_beating().await });
    servers.spawn(Context::keep_tidy(Arc::downgrade(context)));
    let retries = Arc::clone(&context.retries);
    servers.spawn(async move { retries.keep_waking().await });
    servers
}

/// Takes part in the election, if there is one, until it is time to `release` the Lease.
fn elections(
    leadership: &Leadership,
    cluster: &Cluster,
    instance: &str,
    context: &Arc<Context>,
    release: &CancellationToken,
) -> JoinSet<()> {
    let mut elections = JoinSet::new();
    if let Leadership::Elected(elected) = leadership {
        context.budget.follow();
        // Weak, as the queue of Events ends with the context, and the Lease is held until that is empty.
        let context = Arc::downgrade(context);
        let lost = move || {
            if let Some(context) = context.upgrade() {
                context.reports.silence();
                context.budget.follow();
                context.unconfirmed.clear();
            }
        };
        let (client, elected) = (cluster.client.clone(), Arc::clone(elected));
        let candidate = Candidate::new(client, &cluster.namespace, instance, elected, lost);
        elections.spawn(candidate.run(release.clone()));
    }
    elections
}

/// What the controllers of all watches share.
type Shared<'a> = (&'a Cluster, &'a Arc<Health>, &'a Wake, &'a Arc<Context>);

/// Starts the controllers of all kinds in all scopes.
fn controllers(scopes: &[Option<String>], shared: Shared<'_>) -> JoinSet<()> {
    let mut controllers = JoinSet::new();
    for scope in scopes {
        for kind in Kind::ALL {
            controllers.spawn(controller(kind, scope.clone(), shared));
        }
    }
    controllers
}

/// Runs the controller of one kind in one scope until it is stopped.
fn controller(
    kind: Kind,
    scope: Option<String>,
    (cluster, health, wake, context): Shared<'_>,
) -> impl Future<Output = ()> + Send + use<> {
    let watch: Watch = (kind.name(), scope);
    let client = &cluster.client;
    let selected = Arc::new(Selected::default());
    let triggers = wake.triggers(&watch);
    let beginnings = count::beginnings(client, kind, watch.clone(), Arc::clone(context));
    let all = Arc::clone(&selected);
    let beginnings = beginnings.flat_map(move |()| stream::iter(all.all()));
    let [ours, theirs] = [&selected; 2].map(Arc::clone);
    let (health, context) = (Arc::clone(health), Arc::clone(context));
    let stop = context.stop.clone();
    let changes = watch::changes(client, kind, &watch, theirs, health, Arc::clone(&context));
    let news = stream::select_all([changes.boxed(), triggers.boxed(), beginnings.boxed()]);
    let news = news.take_until(stop.cancelled_owned());
    queue::work(news, RECONCILES, move |identity| {
        let object = ours.get(identity)?;
        Some(reconcile::reconcile(object, Arc::clone(&context)))
    })
}

fn context(
    config: &Config,
    cluster: &Cluster,
    registry: &registry::RegistryClient,
    reports: Reports,
    watches: &[Watch],
    (wake, leadership, patches): (&Arc<Wake>, &Arc<Leadership>, &Arc<Patches>),
) -> Context {
    let client = &cluster.client;
    Context {
        client: client.clone(),
        leadership: Arc::clone(leadership),
        checker: Checker::new(registry.clone(), Arc::clone(wake)),
        registry: registry.clone(),
        credentials: Credentials::new(client.clone(), &config.registries),
        pods: pods::Store::new(client.clone()),
        nodes: Nodes::new(client.clone()),
        memory: Memory::default(),
        reports,
        budget: Budget::new(
            config.rollouts.max_concurrent,
            watches.iter().cloned(),
            Arc::clone(wake),
        ),
        retries: Arc::new(Retries::new(Arc::clone(wake))),
        rollouts: config.rollouts.clone(),
        conflicts: Conflicts::default(),
        unconfirmed: Unconfirmed::default(),
        patches: Arc::clone(patches),
        stop: CancellationToken::new(),
        schedule: config.schedule.clone(),
        zone: config.zone.clone(),
        platforms: config.platforms.clone(),
        restarted_at: if config.kubectl_annotation {
            KUBECTL_RESTARTED_AT
        } else {
            RESTARTED_AT
        },
    }
}

/// Where is watched: in each namespace by itself, so that a role in each of them is enough, or in all of them at once.
fn scopes(namespaces: &Namespaces, own: &str) -> Vec<Option<String>> {
    match namespaces {
        Namespaces::Own => vec![Some(own.to_owned())],
        Namespaces::Listed(names) => names.iter().cloned().map(Some).collect(),
        Namespaces::All => vec![None],
    }
}

/// One watch for each kind in each scope.
fn watches(scopes: &[Option<String>]) -> Vec<Watch> {
    let kinds = |scope: &Option<String>| Kind::ALL.map(|kind| (kind.name(), scope.clone()));
    scopes.iter().flat_map(kinds).collect()
}

/// The name of this replica, as Events tell it: that of its pod.
fn instance(environment: &BTreeMap<String, String>) -> String {
    let pod = environment
        .get("POD_NAME")
        .or_else(|| environment.get("HOSTNAME"));
    pod.cloned().unwrap_or_else(|| constants::NAME.to_owned())
}

#[cfg(test)]
mod tests;
