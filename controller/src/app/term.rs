//! A term of leadership: the controllers, their stores and all that is remembered of workloads live as long as it does.

use std::sync::Arc;

use kube_autorollout_cloud::Identities;
use kube_autorollout_registry::RegistryClient;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::{
    client::Cluster,
    config::Config,
    controller::{self, Context, Objects},
    hints::Checks,
    leader_election::{leadership::Leadership, present::Present},
    lookup::{Fetches, Triggers},
    observe::Sources,
    rollout::{Rollouts, budget::Budget, history::History, limiter::Limiter, state::States},
    server::health::Health,
    status::Reporter,
    workload::{Kind, Watch},
};

/// What all terms share.
pub(super) struct Shared {
    pub(super) config: Config,
    pub(super) cluster: Cluster,
    pub(super) registry: RegistryClient,
    /// The controller's own in clouds, if one is configured.
    pub(super) identities: Option<Identities>,
    pub(super) leadership: Arc<Leadership>,
    pub(super) health: Arc<Health>,
    pub(super) limiter: Arc<Limiter>,
    pub(super) reporter: Arc<Reporter>,
    pub(super) watches: Vec<Watch>,
    /// Where hints are checked.
    pub(super) checks: Present<Checks>,
    /// What is known of the workloads.
    pub(super) present: Present<Context>,
}

impl Shared {
    /// What was known is not there for anybody any more.
    pub(super) fn end(&self) {
        self.checks.set(None);
        self.present.set(None);
    }
}

/// The controllers of all kinds and scopes.
pub(super) struct Term {
    controllers: JoinSet<()>,
    stop: CancellationToken,
}

impl Term {
    /// Starts the controllers: what is in flight is learnt from their first lists.
    pub(super) fn start(shared: &Shared, kinds: &[Kind]) -> Self {
        let stop = CancellationToken::new();
        let context = Arc::new(context(shared, stop.clone()));
        shared.present.set(Some(Arc::clone(&context)));
        shared.checks.set(Some(Checks::new(Arc::clone(&context))));
        let mut controllers = JoinSet::new();
        for kind in kinds {
            let of_kind = |watch: &&Watch| watch.0 == kind.name();
            for watch in shared.watches.iter().filter(of_kind) {
                controllers.spawn(controller::run(
                    *kind,
                    watch.clone(),
                    Arc::clone(&shared.health),
                    Arc::clone(&context),
                    shared.cluster.recovery.stream(),
                ));
            }
        }
        controllers.spawn(Context::keep_tidy(stop.clone(), context));
        Self { controllers, stop }
    }

    /// Waits until a controller has ended, which none does by itself.
    pub(super) async fn failed(&mut self) {
        self.controllers.join_next().await;
    }

    /// Begins nothing any more, and waits until what was begun has ended.
    pub(super) async fn drain(&mut self) {
        self.stop.cancel();
        while self.controllers.join_next().await.is_some() {}
    }

    /// Ends what has not ended yet.
    pub(super) async fn abort(&mut self) {
        self.stop.cancel();
        self.controllers.shutdown().await;
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
            history: History::default(),
            states: States::default(),
            stop,
            restarted_at: config.restarted_at(),
        },
        budget: Budget::new(
            config.rollouts.max_concurrent,
            shared.watches.iter().cloned(),
            Arc::clone(&triggers),
        ),
        objects: Objects::default(),
        triggers,
        reporter: Arc::clone(&shared.reporter),
        policy: config.rollouts.clone(),
        pinning: config.pinning,
        schedule: config.schedule.clone(),
        zone: config.zone.clone(),
    }
}
