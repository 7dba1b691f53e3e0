//! Selects, sorts and counts the workloads of an overview.

use std::borrow::Cow;

use jiff::Timestamp;
use kube_autorollout_core::state::State;
use kube_autorollout_overview::{Filter, Overview, needs_person, urgency};

use crate::{controller::Context, rollout::condition::Condition, workload::identity::Identity};

/// Counts all workloads; returns the counts, and the workloads that the filter requests.
pub(super) fn survey(
    context: &Context,
    filter: &Filter,
    now: Timestamp,
) -> (Overview<'static>, Vec<Identity>) {
    let mut overview = Overview {
        time: now,
        controller: Cow::Borrowed(env!("CARGO_PKG_VERSION")),
        ..Overview::default()
    };
    let mut shown = Vec::new();
    for object in context.stores.all() {
        // The workload may no longer be selected.
        let Some((identity, condition)) = context.rollouts.states.condition(object.uid()) else {
            continue;
        };
        let (state, needs_person) = status(condition.as_ref(), now);
        if overview.count(&identity.namespace, state, needs_person, filter) {
            shown.push((urgency(state, needs_person), identity));
        }
    }
    shown.sort_unstable_by(|one, other| sort_key(one).cmp(&sort_key(other)));
    let page = overview.paged(filter);
    let workloads = shown.into_iter().map(|(_, identity)| identity);
    let on_page = workloads.skip(page.start).take(page.len());
    (overview, on_page.collect())
}

/// The state, `Unknown` before the first reconcile, and whether it needs a person.
pub(super) fn status(condition: Option<&Condition>, now: Timestamp) -> (State, bool) {
    let state = condition.map_or(State::Unknown, |condition| condition.state);
    let reason = condition.and_then(|condition| condition.reason);
    let since = condition.map(Condition::since);
    (state, needs_person(state, reason, since, now))
}

fn sort_key((urgency, identity): &(u8, Identity)) -> (u8, &str, &str, &str) {
    let (namespace, name) = (&identity.namespace, &identity.name);
    (*urgency, namespace, name, identity.kind)
}
