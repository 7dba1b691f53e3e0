//! The context that all reconciles share during a term of leadership.

use std::{sync::Arc, time::Duration};

use jiff::tz::TimeZone;
use kube_autorollout_core::schedule::Schedule;
use tokio::time;
use tokio_util::sync::CancellationToken;

use super::Stores;
use crate::{
    clock, config,
    lookup::Triggers,
    observe::Sources,
    rollout::{Rollouts, budget::Budget},
    status::Reporter,
    workload::{Kind, identity::Identity},
};

/// Interval of the eviction of unused entries.
const TIDY: Duration = Duration::from_secs(10);

/// Everything that a reconcile needs besides its workload. It is dropped at the end of the term, with all per-workload
/// state.
pub(crate) struct Context {
    /// Sources of facts: tags, pods, nodes, Secrets.
    pub(crate) sources: Sources,
    /// The reflector stores.
    pub(crate) stores: Stores,
    /// Triggers reconciles.
    pub(crate) triggers: Arc<Triggers>,
    /// Patches workloads, and keeps their state.
    pub(crate) rollouts: Rollouts,
    /// Slots for rollouts in flight.
    pub(crate) budget: Budget,
    /// Metrics, Events and log.
    pub(crate) reporter: Arc<Reporter>,
    /// Limits on rollouts.
    pub(crate) policy: config::Rollouts,
    /// Whether rollouts pin new pods to a digest.
    pub(crate) pinning: bool,
    /// The schedule of workloads without one of their own.
    pub(crate) schedule: Schedule,
    /// The time zone of workloads' own schedules.
    pub(crate) zone: TimeZone,
}

/// The context of one controller.
pub(crate) struct KindContext {
    pub(super) kind: Kind,
    pub(super) context: Arc<Context>,
}

impl Context {
    /// Evicts unused entries of caches and metrics at an interval, until it is stopped.
    pub(crate) async fn keep_tidy(stop: CancellationToken, this: Arc<Self>) {
        let mut ticks = time::interval(TIDY);
        while stop.run_until_cancelled(ticks.tick()).await.is_some() {
            this.sources.tidy();
            let is_selected = |uid: &str| this.rollouts.states.identity(uid).is_some();
            this.rollouts.recent.tidy(clock::now(), is_selected);
            this.reporter.metrics.registries.tidy();
        }
    }

    /// A watch shows a selected workload. Per-workload state is created only here.
    pub(super) fn select(&self, identity: &Identity) {
        if self.rollouts.states.select(identity) {
            self.sources.pods.cache.select(identity);
            self.reporter.select(identity);
        }
    }

    /// The workload was deleted, or its label removed. Per-workload state is dropped only here.
    pub(super) fn forget(&self, identity: &Identity) {
        self.rollouts.states.remove(identity);
        self.sources.forget(identity);
        self.budget.forget(identity);
        self.reporter.forget(identity);
    }
}
