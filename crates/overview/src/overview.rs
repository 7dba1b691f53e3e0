//! The overview of all workloads, with counts.

use std::{borrow::Cow, collections::BTreeMap};

use jiff::Timestamp;
use kube_autorollout_core::state::State;
use serde::{Deserialize, Serialize};

use crate::{filter::Filter, row::Row};

/// The version of the schema. It changes when a field is removed or its meaning changes, not when one is added.
pub const VERSION: u32 = 1;

/// The number of rows on a page.
pub const PAGE_ROWS: usize = 100;

/// The status of all selected workloads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Overview<'a> {
    /// The version of this schema: 1. Fields may be added to it; clients must ignore unknown ones.
    pub version: u32,
    /// When this was written.
    #[cfg_attr(test, schemars(with = "crate::tests::schema::Instant"))]
    pub time: Timestamp,
    /// The version of the controller.
    #[serde(borrow)]
    pub controller: Cow<'a, str>,
    /// The name of the leader's pod. The following fields are its view.
    pub leader: Cow<'a, str>,
    /// Whether all workloads have been listed since it became the leader.
    pub complete: bool,
    /// The number of workloads that need human intervention, in the requested namespace and any state.
    pub needs_person: u32,
    /// The number of workloads in each state, in the requested namespace.
    #[cfg_attr(test, schemars(with = "BTreeMap<crate::tests::schema::States, u32>"))]
    pub states: BTreeMap<State, u32>,
    /// The number of workloads in each namespace, in the requested state.
    pub namespaces: BTreeMap<Cow<'a, str>, u32>,
    /// The request.
    pub shown: Shown<'a>,
    /// The workloads, most urgent first.
    pub workloads: Vec<Row<'a>>,
}

/// The requested rows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Shown<'a> {
    /// Only workloads of this namespace.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<Cow<'a, str>>,
    /// Only workloads in this state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "Option<crate::tests::schema::States>"))]
    pub state: Option<State>,
    /// The number of these workloads, on all pages.
    pub matching: u32,
    /// Only this page, starting at 1; omitted if all are shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page: Option<u32>,
    /// The number of pages, of 100 workloads each.
    pub pages: u32,
}

impl Overview<'_> {
    /// Counts a workload; returns whether its row matches the filter.
    pub fn count(
        &mut self,
        namespace: &str,
        state: State,
        needs_person: bool,
        filter: &Filter,
    ) -> bool {
        if filter.matches_namespace(namespace) {
            *self.states.entry(state).or_default() += 1;
            self.needs_person += u32::from(needs_person);
        }
        if filter.matches_state(state) {
            if let Some(count) = self.namespaces.get_mut(namespace) {
                *count += 1;
            } else {
                self.namespaces.insert(Cow::Owned(namespace.to_owned()), 1);
            }
        }
        let is_match = filter.matches(namespace, state);
        self.shown.matching += u32::from(is_match);
        is_match
    }

    /// Sets the request, after all workloads are counted. Returns the range of matching rows that are on the page.
    pub fn paged(&mut self, filter: &Filter) -> std::ops::Range<usize> {
        let matching = usize::try_from(self.shown.matching).unwrap_or(usize::MAX);
        let pages = matching.div_ceil(PAGE_ROWS).max(1);
        let namespace = filter.namespace.as_deref();
        self.shown.namespace = namespace.map(|namespace| Cow::Owned(namespace.to_owned()));
        self.shown.state = filter.state;
        self.shown.pages = u32::try_from(pages).unwrap_or(u32::MAX);
        // Workloads may have been deleted since the page was linked.
        self.shown.page = filter.page.map(|page| page.min(self.shown.pages));
        let Some(page) = self.shown.page else {
            return 0..matching;
        };
        let before = usize::try_from(page - 1).unwrap_or(usize::MAX);
        let start = before.saturating_mul(PAGE_ROWS).min(matching);
        start..start.saturating_add(PAGE_ROWS).min(matching)
    }

    /// The filter of this page.
    pub fn filter(&self) -> Filter {
        let Shown {
            namespace,
            state,
            page,
            ..
        } = &self.shown;
        Filter {
            namespace: namespace.as_deref().map(Box::from),
            state: *state,
            page: *page,
        }
    }

    /// The number of workloads in the requested namespace.
    pub fn total(&self) -> u32 {
        self.states.values().sum()
    }
}

impl Default for Overview<'_> {
    /// An empty overview, at the Unix epoch.
    fn default() -> Self {
        Self {
            version: VERSION,
            time: Timestamp::UNIX_EPOCH,
            controller: Cow::default(),
            leader: Cow::default(),
            complete: true,
            needs_person: 0,
            states: BTreeMap::new(),
            namespaces: BTreeMap::new(),
            shown: Shown::default(),
            workloads: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(query: &str) -> (Overview<'static>, usize) {
        let filter = Filter::parse(query).expect("a filter");
        let mut overview = Overview::default();
        let states = [State::UpToDate, State::Held, State::NotConverging];
        let workloads = (0..450).map(|number| {
            let namespace = if number < 300 { "shop" } else { "web" };
            (namespace, states[number % 3])
        });
        for (namespace, state) in workloads {
            overview.count(namespace, state, state == State::NotConverging, &filter);
        }
        let rows = overview.paged(&filter).len();
        (overview, rows)
    }

    #[test]
    fn states_are_counted_in_the_namespace_and_namespaces_in_the_state_that_is_asked_for() {
        let (overview, rows) = counted("namespace=web&state=Held");
        assert_eq!(
            (rows, overview.shown.matching, overview.shown.pages),
            (50, 50, 1)
        );
        assert_eq!((overview.needs_person, overview.total()), (50, 150));
        let namespaces = [("shop".into(), 100), ("web".into(), 50)];
        assert_eq!(overview.namespaces, BTreeMap::from(namespaces));
        assert_eq!(overview.states[&State::UpToDate], 50);
    }

    #[test]
    fn a_page_has_a_hundred_rows_and_the_last_one_the_rest() {
        let pages = [("", 450), ("page=1", 100), ("page=5", 50), ("page=9", 50)];
        for (query, expected) in pages {
            let (overview, rows) = counted(query);
            assert_eq!((rows, overview.shown.pages), (expected, 5), "{query}");
        }
        let (overview, _) = counted("page=9");
        assert_eq!(overview.shown.page, Some(5), "workloads have gone since");
        let (overview, rows) = counted("namespace=nobody&page=2");
        assert_eq!(
            (rows, overview.shown.pages, overview.shown.page),
            (0, 1, Some(1))
        );
    }
}
