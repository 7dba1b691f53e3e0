//! Observes a workload and decides about it: a first time with what is known, and again with certainty before anything is
//! done about it.

use jiff::Timestamp;
use kube_autorollout_core::{
    annotations::Settings,
    decide::{Decision, Policy, decide},
    state::{Reason, State},
};

use super::{Context, requeue::Next};
use crate::{
    lookup::{Waiter, until_ready},
    observe::{self, Freshness, Subject, observation::Observation, pods},
    rollout::budget::Slot,
    workload::{Workload, identity::Identity},
};

/// What was decided of a workload, on what it rests, and a slot for its rollout.
pub(super) struct Decided<'a> {
    pub(super) observation: Observation,
    pub(super) decision: Decision,
    pub(super) slot: Option<Slot<'a>>,
}

/// One reconcile of a workload.
pub(super) struct Reconcile<'a> {
    pub(super) workload: &'a Workload,
    pub(super) identity: &'a Identity,
    pub(super) settings: &'a Settings,
    pub(super) next: Next<'a>,
    pub(super) context: &'a Context,
}

impl<'a> Reconcile<'a> {
    /// Observes the workload and decides about it with what is known; nothing while something is being fetched.
    pub(super) fn at_once(&self, freshness: Freshness) -> Result<Option<Decided<'a>>, pods::Error> {
        let waiter = Waiter::Workload(self.identity.clone());
        let observation = self.observe(freshness, &waiter)?;
        Ok(observation.map(|observation| Decided {
            decision: self.decide(&observation, &self.policy()),
            observation,
            slot: None,
        }))
    }

    /// Decides again where the workload is to be rolled out, as that takes a slot and certainty, and where it is to be
    /// reported that its pods run another image, which takes certainty, too. Nothing while something is being fetched.
    pub(super) async fn certainly(
        &self,
        at_once: Decided<'a>,
        freshness: Freshness,
    ) -> Result<Option<Decided<'a>>, pods::Error> {
        let (identity, context, now) = (self.identity, self.context, self.next.now);
        let Decided {
            mut observation,
            mut decision,
            ..
        } = at_once;
        let mut policy = self.policy();
        if rests_on_history(&decision) && observation.pods.undone.is_none() {
            let freshness = Freshness {
                templates: true,
                ..freshness
            };
            let Some(with_history) = self.observed(freshness).await? else {
                return Ok(None);
            };
            observation = with_history;
            decision = self.decide(&observation, &policy);
        }
        let known = context.rollouts.states.with(&identity.uid, |state| {
            let tracker = &state.tracker;
            (tracker.stuck().is_some(), tracker.outdated())
        });
        let (is_stuck, outdated) = known.unwrap_or_default();
        if decision.reason == Some(Reason::RuntimeReportsAlias) && !is_stuck {
            // Pods that are newer than the answer may run what the tag names by now.
            let Some(certain) = self.certain(observation.last_request).await? else {
                return Ok(None);
            };
            observation = certain;
            decision = self.decide(&observation, &policy);
        }
        let mut slot = None;
        if decision.rollout.is_some() {
            slot = context.budget.take(identity, outdated.unwrap_or(now), now);
            policy.budget_spent = slot.is_none();
            if slot.is_some() {
                let Some(certain) = self.certain(observation.last_request).await? else {
                    return Ok(None);
                };
                observation = certain;
            }
            decision = self.decide(&observation, &policy);
        }
        Ok(Some(Decided {
            observation,
            decision,
            slot,
        }))
    }

    fn decide(&self, observation: &Observation, policy: &Policy) -> Decision {
        decide(&observation.observed, self.settings, policy, self.next.now)
    }

    fn policy(&self) -> Policy {
        Policy {
            pin: self.context.pinning && !self.workload.template().is_unpinned(),
            ..self.context.policy.policy()
        }
    }

    /// Observes the workload with the certainty that a rollout takes, and waits for it; nothing where the workload is not
    /// selected any more, of which nothing is kept.
    async fn certain(&self, asked: Timestamp) -> Result<Option<Observation>, pods::Error> {
        self.observed(self.next.certainty(asked)).await
    }

    /// Observes the workload, and waits for what is fetched, but not beyond the end of the term.
    async fn observed(&self, freshness: Freshness) -> Result<Option<Observation>, pods::Error> {
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
        let followed = rollouts.states.with(uid, |state| state.tracker.followed());
        let subject = Subject {
            workload: self.workload,
            settings: self.settings,
            tracked: followed.unwrap_or_default(),
            remembered: &|container| rollouts.history.remembered(uid, container),
        };
        observe::workload(subject, freshness, waiter, &self.context.sources)
    }
}

impl Decided<'_> {
    /// Whether it is to be reported as it was decided at once.
    pub(super) fn holds(&self) -> bool {
        !rests_on_history(&self.decision)
    }
}

/// Whether it matters for what is done or said that somebody may have gone back from a rollout.
fn rests_on_history(decision: &Decision) -> bool {
    let alias = decision.reason == Some(Reason::RuntimeReportsAlias);
    let waits = decision.state == State::Outdated && decision.stale;
    decision.rollout.is_some() || alias || waits
}
