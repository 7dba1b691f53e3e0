//! Which workloads are shown, in which order, and how many there are of each sort.

use std::{borrow::Cow, cmp::Ordering};

use jiff::Timestamp;
use kube_autorollout_core::state::State;
use kube_autorollout_overview::{Filter, Overview, needs_person, urgency};

use crate::{controller::Context, rollout::standing::Standing, workload::identity::Identity};

/// The workloads that are shown, and what is said of all of them.
pub(super) struct Survey {
    pub(super) overview: Overview<'static>,
    pub(super) workloads: Vec<Identity>,
}

/// A workload and its place among those that are shown.
struct Place {
    urgency: u8,
    identity: Identity,
}

/// Counts all workloads, and chooses those that are asked for.
pub(super) fn survey(context: &Context, filter: &Filter, now: Timestamp) -> Survey {
    let mut overview = Overview {
        time: now,
        controller: Cow::Borrowed(env!("CARGO_PKG_VERSION")),
        ..Overview::default()
    };
    let mut shown = Vec::new();
    for object in context.objects.all() {
        // Its label may have gone meanwhile.
        let Some((identity, standing)) = context.rollouts.states.found(object.uid()) else {
            continue;
        };
        let (state, needs_person) = stands(standing.as_ref(), now);
        if overview.count(&identity.namespace, state, needs_person, filter) {
            let urgency = urgency(state, needs_person);
            shown.push(Place { urgency, identity });
        }
    }
    shown.sort_unstable_by(Place::order);
    let page = overview.paged(filter);
    let workloads = shown.into_iter().map(|place| place.identity);
    let on_page = workloads.skip(page.start).take(page.len());
    Survey {
        overview,
        workloads: on_page.collect(),
    }
}

/// The state, which is not known before the first decision, and whether it needs a person.
pub(super) fn stands(standing: Option<&Standing>, now: Timestamp) -> (State, bool) {
    let state = standing.map_or(State::Unknown, |standing| standing.state);
    let reason = standing.and_then(|standing| standing.reason);
    let since = standing.map(Standing::since);
    (state, needs_person(state, reason, since, now))
}

impl Place {
    fn order(&self, other: &Self) -> Ordering {
        let (one, another) = (&self.identity, &other.identity);
        let urgency = self.urgency.cmp(&other.urgency);
        urgency
            .then_with(|| one.namespace.cmp(&another.namespace))
            .then_with(|| one.name.cmp(&another.name))
            .then_with(|| one.kind.cmp(another.kind))
    }
}
