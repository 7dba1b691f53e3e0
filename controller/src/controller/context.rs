//! What all reconciles share during a term of leadership.

use std::{sync::Arc, time::Duration};

use jiff::{Timestamp, tz::TimeZone};
use kube_autorollout_core::schedule::Schedule;
use tokio::time;
use tokio_util::sync::CancellationToken;

use super::Objects;
use crate::{
    clock, config,
    lookup::Triggers,
    observe::Sources,
    rollout::{Rollouts, budget::Budget},
    status::Reporter,
    workload::{Kind, identity::Identity},
};

/// Everything a reconcile needs besides its workload. It ends with the term of leadership, and with it all that is
/// remembered of workloads.
pub(crate) struct Context {
    /// Where facts come from.
    pub(crate) sources: Sources,
    /// The selected workloads themselves.
    pub(crate) objects: Objects,
    /// Requests for reconciles.
    pub(crate) triggers: Arc<Triggers>,
    /// Patches, and what is remembered of workloads.
    pub(crate) rollouts: Rollouts,
    /// Slots for rollouts in flight.
    pub(crate) budget: Budget,
    /// What people see.
    pub(crate) reporter: Arc<Reporter>,
    /// What keeps rollouts from becoming a storm.
    pub(crate) policy: config::Rollouts,
    /// Whether rollouts pin what new pods run.
    pub(crate) pinning: bool,
    /// The schedule of workloads that have none of their own.
    pub(crate) schedule: Schedule,
    /// In which zone a workload's own schedule is read.
    pub(crate) zone: TimeZone,
}

/// The context of one controller.
pub(crate) struct KindContext {
    pub(super) kind: Kind,
    pub(super) context: Arc<Context>,
}

/// How often is dropped what nobody needs any more.
const TIDY: Duration = Duration::from_secs(10);

impl Context {
    /// Drops what nobody needs any more and what no other event ends, until it is stopped.
    pub(crate) async fn keep_tidy(stop: CancellationToken, this: Arc<Self>) {
        let mut ticks = time::interval(TIDY);
        while stop.run_until_cancelled(ticks.tick()).await.is_some() {
            this.tidy(clock::now());
        }
    }

    fn tidy(&self, now: Timestamp) {
        self.sources.tidy();
        let is_selected = |uid: &str| self.rollouts.states.identity(uid).is_some();
        self.rollouts.history.tidy(now, is_selected);
        self.reporter.tidy();
    }

    /// The one way in: a watch shows a selected workload.
    pub(super) fn select(&self, identity: &Identity) {
        if self.rollouts.states.select(identity) {
            self.sources.pods.cache.select(identity);
            self.reporter.select(identity);
        }
    }

    /// The one way out: the workload is deleted, or its label is gone.
    pub(super) fn forget(&self, identity: &Identity) {
        self.rollouts.states.remove(identity);
        self.sources.forget(identity);
        self.budget.forget(identity);
        self.reporter.forget(identity);
    }
}
