//! What all reconciles share.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use jiff::Timestamp;
use kube::Client;
use kube_autorollout_core::{platform::Platforms, schedule::Schedule};
use kube_autorollout_registry as registry;
use tokio::time;
use tokio_util::sync::CancellationToken;

use crate::{
    clock,
    config::Rollouts,
    controller::retry::Retries,
    leader_election::leadership::Leadership,
    observe::nodes::Nodes,
    observe::pods,
    observe::tags::Checker,
    registry::credentials::Credentials,
    rollout::budget::Budget,
    rollout::history::Memory,
    rollout::limiter::Patches,
    rollout::{Conflicts, Unconfirmed},
    status::Reports,
    workload::identity::Identity,
};

/// Everything a reconcile needs besides its workload.
pub(crate) struct Context {
    /// The API server.
    pub(crate) client: Client,
    /// Whether this replica may act.
    pub(crate) leadership: Arc<Leadership>,
    /// Registries, for manifests; tags go through the checker.
    pub(crate) registry: registry::RegistryClient,
    /// Tags, shared.
    pub(crate) checker: Checker,
    /// With what registries are asked.
    pub(crate) credentials: Credentials,
    /// Pods, kept.
    pub(crate) pods: pods::Store,
    /// The platforms of nodes.
    pub(crate) nodes: Nodes,
    /// The guard's second leg.
    pub(crate) memory: Memory,
    /// What was said of each workload.
    pub(crate) reports: Reports,
    /// Those whose reconcile failed.
    pub(crate) retries: Arc<Retries>,
    /// Places for rollouts in flight.
    pub(crate) budget: Budget,
    /// What keeps rollouts from becoming a storm.
    pub(crate) rollouts: Rollouts,
    /// Workloads that others changed before our patch came.
    pub(crate) conflicts: Conflicts,
    /// Patches whose answer has not come.
    pub(crate) unconfirmed: Unconfirmed,
    /// Patches on their way.
    pub(crate) patches: Arc<Patches>,
    /// The process was asked to stop: nothing is begun any more.
    pub(crate) stop: CancellationToken,
    /// The schedule of workloads that have none of their own.
    pub(crate) schedule: Schedule,
    /// In which zone a workload's own schedule is read.
    pub(crate) zone: jiff::tz::TimeZone,
    /// What counts of an index, where the configuration says so.
    pub(crate) platforms: Platforms,
    /// The annotation that holds the instant of a rollout.
    pub(crate) restarted_at: &'static str,
}

/// How often is dropped what nobody needs any more.
const TIDY: Duration = Duration::from_secs(10);

impl Context {
    /// Drops, for ever, what nobody needs any more and what no other event ends.
    pub(crate) async fn keep_tidy(this: Weak<Self>) {
        let mut ticks = time::interval(TIDY);
        loop {
            ticks.tick().await;
            let Some(context) = this.upgrade() else {
                return std::future::pending().await; // the process is about to end
            };
            context.tidy(clock::now());
        }
    }

    fn tidy(&self, now: Timestamp) {
        self.pods.tidy();
        self.credentials.tidy();
        self.checker.tidy();
        self.memory.tidy(now, |uid| self.reports.is_selected(uid));
        self.reports.tidy();
    }

    /// Forgets what is remembered of a workload that is no longer selected.
    pub(crate) fn forget(&self, identity: &Identity) {
        self.checker.follow(identity, &[]);
        self.pods.forget(identity);
        self.budget.forget(identity);
        self.retries.over(identity);
        self.conflicts.over(identity);
        self.unconfirmed.forget(identity);
        self.reports.forget(identity);
    }
}
