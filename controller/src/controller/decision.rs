//! Observes a workload and decides about it: first with cached facts, and before a rollout again with confirmed ones.

use kube_autorollout_core::{
    annotations::Settings,
    decide::{Decision, Policy, decide},
    state::{Reason, State},
};

use super::{Context, requeue::Timing};
use crate::{
    lookup::{Waiter, until_ready},
    observe::{self, Freshness, Subject, observation::Observation, pods},
    rollout::budget::Slot,
    workload::{Workload, identity::Identity},
};

/// One reconcile of a workload.
pub(super) struct Reconcile<'a> {
    pub(super) workload: &'a Workload,
    pub(super) identity: &'a Identity,
    pub(super) settings: &'a Settings,
    pub(super) timing: Timing<'a>,
    pub(super) context: &'a Context,
}

impl<'a> Reconcile<'a> {
    /// Observes the workload and decides about it with cached facts; `None` while a fetch is in flight.
    pub(super) fn evaluate(
        &self,
        freshness: Freshness,
    ) -> Result<Option<(Observation, Decision)>, pods::Error> {
        let waiter = Waiter::Workload(self.identity.clone());
        let observation = self.observe(freshness, &waiter)?;
        Ok(observation.map(|observation| {
            let decision = self.decide(&observation, &self.policy());
            (observation, decision)
        }))
    }

    /// Confirms a decision: decides again with fresh facts before a rollout, which also takes a slot, and before a report that
    /// the pods run another image. `None` if the workload is no longer selected or the term ends.
    pub(super) async fn confirm(
        &self,
        mut observation: Observation,
        mut decision: Decision,
        freshness: Freshness,
    ) -> Result<Option<(Observation, Decision, Option<Slot<'a>>)>, pods::Error> {
        let (identity, context, now) = (self.identity, self.context, self.timing.now);
        let mut policy = self.policy();
        if depends_on_history(&decision) && observation.pods.rolled_back.is_none() {
            let freshness = Freshness {
                rollbacks: true,
                ..freshness
            };
            let Some(with_history) = self.observe_until_ready(freshness).await? else {
                return Ok(None);
            };
            observation = with_history;
            decision = self.decide(&observation, &policy);
        }
        let tracked = context.rollouts.states.with(&identity.uid, |state| {
            let tracker = &state.tracker;
            (tracker.stuck().is_some(), tracker.outdated())
        });
        let (is_stuck, outdated) = tracked.unwrap_or_default();
        if decision.reason == Some(Reason::RuntimeReportsAlias) && !is_stuck {
            // The tag may have moved since the response, and pods that are newer may run its present digest.
            let freshness = self.timing.confirmation(observation.last_request);
            let Some(confirmed) = self.observe_until_ready(freshness).await? else {
                return Ok(None);
            };
            observation = confirmed;
            decision = self.decide(&observation, &policy);
        }
        let mut slot = None;
        if decision.rollout.is_some() {
            slot = context.budget.take(identity, outdated.unwrap_or(now), now);
            policy.budget_spent = slot.is_none();
            if slot.is_some() {
                let freshness = self.timing.confirmation(observation.last_request);
                let Some(confirmed) = self.observe_until_ready(freshness).await? else {
                    return Ok(None);
                };
                observation = confirmed;
            }
            decision = self.decide(&observation, &policy);
        }
        Ok(Some((observation, decision, slot)))
    }

    fn decide(&self, observation: &Observation, policy: &Policy) -> Decision {
        decide(
            &observation.observed,
            self.settings,
            policy,
            self.timing.now,
        )
    }

    fn policy(&self) -> Policy {
        Policy {
            pin: self.context.pinning && !self.workload.template().is_unpinned(),
            ..self.context.policy.policy()
        }
    }

    /// Observes the workload and waits for fetches; `None` if it is no longer selected or the term ends.
    async fn observe_until_ready(
        &self,
        freshness: Freshness,
    ) -> Result<Option<Observation>, pods::Error> {
        let rollouts = &self.context.rollouts;
        let observed = until_ready(|waiter| {
            if rollouts.states.identity(&self.identity.uid).is_none() {
                return Some(Ok(None));
            }
            let observed = self.observe(freshness, waiter).transpose()?;
            Some(observed.map(Some))
        });
        let observed = rollouts.stop.run_until_cancelled(observed).await;
        observed.unwrap_or(Ok(None))
    }

    fn observe(
        &self,
        freshness: Freshness,
        waiter: &Waiter,
    ) -> Result<Option<Observation>, pods::Error> {
        let uid = self.workload.uid();
        let rollouts = &self.context.rollouts;
        let tracked = rollouts.states.with(uid, |state| state.tracker.tracked());
        let subject = Subject {
            workload: self.workload,
            settings: self.settings,
            tracked: tracked.unwrap_or_default(),
            remembered: &|container| rollouts.recent.remembered(uid, container),
        };
        observe::workload(subject, freshness, waiter, &self.context.sources)
    }
}

/// Whether a rollback of an earlier rollout would change the decision, or what is reported of it.
pub(super) fn depends_on_history(decision: &Decision) -> bool {
    let alias = decision.reason == Some(Reason::RuntimeReportsAlias);
    let delayed = decision.state == State::Outdated && decision.stale;
    decision.rollout.is_some() || alias || delayed
}
