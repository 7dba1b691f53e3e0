//! What was told of one workload.

use jiff::Timestamp;
use kube_autorollout_core::{
    annotations::{KUBECTL_RESTARTED_AT, RESTARTED_AT},
    decide::Decision,
    state::{Reason, State},
};
use tracing::info;

use super::{notes, warnings::Warnings};
use crate::{identity::Identity, observation::Observation, workload::Workload};

/// What was told of one workload.
#[derive(Debug, Default)]
pub(super) struct Told {
    pub(super) state: Option<State>,
    /// Why it was last said to wait, if it waits.
    pub(super) waits: Option<(State, Option<Reason>)>,
    /// Since when it has not run what its tags name, if it does not.
    pub(super) outdated: Option<Timestamp>,
    /// Our own rollout, until its pods run what it was for.
    pub(super) rollout: Option<OurRollout>,
    /// Some decision since the start found no rollout in flight.
    pub(super) settled: bool,
    /// Since when some rollout has been in flight.
    pub(super) in_flight: Option<Timestamp>,
    pub(super) warnings: Warnings,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct OurRollout {
    pub(super) since: Timestamp,
    /// The workload's generation after the patch.
    pub(super) generation: i64,
    /// It has been counted as one that does not converge.
    pub(super) stuck: bool,
}

impl Told {
    /// Tells why a stale workload is not rolled out now: once, and again when there is another reason.
    pub(super) fn waiting(&mut self, identity: &Identity, decision: &Decision) {
        let waits = matches!(decision.state, State::Outdated | State::Held)
            .then_some((decision.state, decision.reason));
        if waits.is_some() && self.waits != waits {
            info!(workload = %identity, "{}", notes::waits(decision));
        }
        if decision.state != State::Unknown {
            self.waits = waits;
        }
    }
}

impl OurRollout {
    /// After a restart a rollout that is in flight, to what the tags name now, is taken for ours.
    pub(super) fn adopted<W: Workload>(
        workload: &W,
        decision: &Decision,
        observation: &Observation,
    ) -> Option<Self> {
        let observed = &observation.observed;
        let to_the_tag = observed.containers.iter().any(|container| {
            let recorded = observed.record.digest(&container.name);
            recorded.is_some() && recorded == container.tag.as_ref().ok()
        });
        let template = workload.template();
        let restarted_at = template
            .annotation(RESTARTED_AT)
            .or_else(|| template.annotation(KUBECTL_RESTARTED_AT));
        let since = restarted_at?.parse().ok()?;
        (decision.state == State::RollingOut && to_the_tag).then_some(Self {
            since,
            generation: 0,
            stuck: false,
        })
    }
}
