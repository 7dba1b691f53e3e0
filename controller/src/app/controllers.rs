//! The controllers of a term of leadership, with their stores and all state of workloads.

use std::sync::Arc;

use kube_autorollout_cloud::Identities;
use kube_autorollout_registry::RegistryClient;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::{
    client::Cluster,
    config::Config,
    controller::{self, Context, Stores},
    hints::Checks,
    leader_election::{leadership::Leadership, term_scoped::TermScoped},
    lookup::{Fetches, Triggers},
    observe::Sources,
    rollout::{Rollouts, budget::Budget, limiter::Limiter, recent::RecentRollouts, state::States},
    server::health::Health,
    status::Reporter,
    workload::{Kind, Watch},
};

/// The state that all terms share.
pub(super) struct Shared {
    pub(super) config: Config,
    pub(super) cluster: Cluster,
    pub(super) registry: RegistryClient,
    /// The identities in clouds, if one is configured.
    pub(super) identities: Option<Identities>,
    pub(super) leadership: Arc<Leadership>,
    pub(super) health: Arc<Health>,
    pub(super) limiter: Arc<Limiter>,
    pub(super) reporter: Arc<Reporter>,
    pub(super) watches: Vec<Watch>,
    /// Checks the images of hints, during a term.
    pub(super) checks: TermScoped<Checks>,
    /// The state of the workloads, during a term.
    pub(super) context: TermScoped<Context>,
}

impl Shared {
    /// Removes the state of the term.
    pub(super) fn end(&self) {
        self.checks.set(None);
        self.context.set(None);
    }
}

/// The controllers of all kinds and scopes.
pub(super) struct Controllers {
    tasks: JoinSet<()>,
    stop: CancellationToken,
}

impl Controllers {
    /// Starts the controllers; rollouts in flight are found in their first lists.
    pub(super) fn start(shared: &Shared, kinds: &[Kind]) -> Self {
        let stop = CancellationToken::new();
        let context = Arc::new(context(shared, stop.clone()));
        shared.context.set(Some(Arc::clone(&context)));
        shared.checks.set(Some(Checks::new(Arc::clone(&context))));
        let mut tasks = JoinSet::new();
        for kind in kinds {
            let of_kind = |watch: &&Watch| watch.0 == kind.name();
            for watch in shared.watches.iter().filter(of_kind) {
                tasks.spawn(controller::run(
                    *kind,
                    watch.clone(),
                    Arc::clone(&shared.health),
                    Arc::clone(&context),
                    shared.cluster.recovery.stream(),
                ));
            }
        }
        tasks.spawn(Context::keep_tidy(stop.clone(), context));
        Self { tasks, stop }
    }

    /// Waits for a controller to exit, which none should.
    pub(super) async fn exited(&mut self) {
        self.tasks.join_next().await;
    }

    /// Starts no more reconciles, and waits for those that are running.
    pub(super) async fn drain(&mut self) {
        self.stop.cancel();
        while self.tasks.join_next().await.is_some() {}
    }

    /// Aborts all tasks.
    pub(super) async fn abort(&mut self) {
        self.stop.cancel();
        self.tasks.shutdown().await;
    }
}

fn context(shared: &Shared, stop: CancellationToken) -> Context {
    let Shared {
        config,
        cluster,
        registry,
        identities,
        ..
    } = shared;
    let triggers = Arc::new(Triggers::default());
    let fetches = Fetches::new(Arc::clone(&triggers), stop.clone());
    Context {
        sources: Sources::new(
            &cluster.client,
            (registry, identities.clone()),
            config,
            &fetches,
        ),
        rollouts: Rollouts {
            client: cluster.client.clone(),
            limiter: Arc::clone(&shared.limiter),
            leadership: Arc::clone(&shared.leadership),
            recent: RecentRollouts::default(),
            states: States::default(),
            stop,
            restarted_at: config.restarted_at(),
        },
        budget: Budget::new(
            config.rollouts.max_concurrent,
            shared.watches.iter().cloned(),
            Arc::clone(&triggers),
        ),
        stores: Stores::default(),
        triggers,
        reporter: Arc::clone(&shared.reporter),
        policy: config.rollouts.clone(),
        pinning: config.pinning,
        schedule: config.schedule.clone(),
        zone: config.zone.clone(),
    }
}
