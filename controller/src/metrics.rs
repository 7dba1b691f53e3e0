//! What Prometheus sees: the list of series is a contract with users.
//!
//! Labels hold names of objects, kinds, hosts and closed sets of words; never an image, a digest or an error's text.

mod each;
pub(crate) mod hints;
mod make;
pub(crate) mod notifications;
mod registries;
pub(crate) mod registry_observer;
mod workloads;

use std::{collections::BTreeMap, time::Duration};

use prometheus::{
    Encoder as _, HistogramVec, IntCounter, IntCounterVec, IntGauge, Registry, TextEncoder,
    process_collector::ProcessCollector,
};
use tracing::error;

use self::{
    hints::Hints, make::Make, notifications::Notifications, registries::Registries,
    workloads::Workloads,
};
pub(crate) use workloads::Outcome;

/// Of every series but those of the process.
const PREFIX: &str = "kube_autorollout";

/// Seconds; a reconcile without input or output takes microseconds, one that waits for a registry up to a minute.
const RECONCILE_BUCKETS: &[f64] = &[0.0001, 0.001, 0.005, 0.025, 0.1, 0.5, 2.5, 10.0, 60.0];

/// How a reconcile ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reconciled {
    /// Something was written to the workload.
    Changed,
    /// Nothing had to be.
    Unchanged,
    /// It has to be tried again.
    Error,
}

impl Reconciled {
    fn as_str(self) -> &'static str {
        match self {
            Self::Changed => "changed",
            Self::Unchanged => "unchanged",
            Self::Error => "error",
        }
    }
}

/// Every series of the controller.
pub(crate) struct Metrics {
    /// About workloads and their rollouts.
    pub(crate) workloads: Workloads,
    /// About registries.
    pub(crate) registries: Registries,
    /// About hints.
    pub(crate) hints: Hints,
    /// About notifications.
    pub(crate) notifications: Notifications,
    ours: Registry,
    process: Registry,
    reconciliations: IntCounterVec,
    reconcile_duration: HistogramVec,
    watch_errors: IntCounterVec,
    events_dropped: IntCounter,
    leader: IntGauge,
}

impl Metrics {
    /// All series, at nothing.
    ///
    /// # Errors
    ///
    /// When a name or label is not one of Prometheus's, which a test would have found.
    pub(crate) fn new() -> Result<Self, prometheus::Error> {
        let ours = Registry::new_custom(Some(PREFIX.to_owned()), None)?;
        let process = Registry::new();
        process.register(Box::new(ProcessCollector::for_self()))?;
        let make = Make(&ours);
        build_info(&make)?;
        let leader = IntGauge::new("leader", "1 if this replica leads")?;
        let dropped = IntCounter::new(
            "events_dropped_total",
            "Total Events that could not be written",
        )?;
        Ok(Self {
            workloads: Workloads::new(&make)?,
            registries: Registries::new(&make)?,
            hints: Hints::new(&make)?,
            notifications: Notifications::new(&make)?,
            reconciliations: make.counters(
                "reconciliations_total",
                "Total reconciliations by outcome",
                &["kind", "outcome"],
            )?,
            reconcile_duration: make.histograms(
                "reconcile_duration_seconds",
                "Time from the begin of a reconciliation to its decision, with what it waited for",
                &["kind", "outcome"],
                RECONCILE_BUCKETS,
            )?,
            watch_errors: make.counters(
                "watch_errors_total",
                "Total errors of watches",
                &["kind"],
            )?,
            events_dropped: make.keep(dropped)?,
            leader: make.keep(leader)?,
            ours,
            process,
        })
    }

    /// Everything in Prometheus's text format. `quarantined` are the credentials that are not presented now, counted
    /// for each registry; nothing is shown of them when this replica does not lead.
    pub(crate) fn encode(&self, leads: bool, quarantined: &BTreeMap<String, usize>) -> String {
        self.leader.set(leads.into());
        if leads {
            self.registries.quarantined(quarantined);
        } else {
            self.registries.clear();
        }
        let mut families = self.ours.gather();
        families.extend(self.process.gather());
        let mut text = Vec::new();
        if let Err(error) = TextEncoder::new().encode(&families, &mut text) {
            error!(%error, "cannot write the metrics");
        }
        let mut text = String::from_utf8(text).unwrap_or_default();
        self.workloads.write_each(PREFIX, &mut text);
        text
    }

    /// A reconcile has ended.
    pub(crate) fn reconciled(&self, kind: &str, outcome: Reconciled, took: Duration) {
        let labels = [kind, outcome.as_str()];
        self.reconciliations.with_label_values(&labels).inc();
        self.reconcile_duration
            .with_label_values(&labels)
            .observe(took.as_secs_f64());
    }

    /// A watch begins, so that its first interruption is a step from 0.
    pub(crate) fn watching(&self, kind: &str) {
        self.watch_errors.with_label_values(&[kind]);
    }

    /// A watch was interrupted.
    pub(crate) fn watch_error(&self, kind: &str) {
        self.watch_errors.with_label_values(&[kind]).inc();
    }

    /// An Event was lost.
    pub(crate) fn event_dropped(&self) {
        self.events_dropped.inc();
    }
}

fn build_info(make: &Make<'_>) -> Result<(), prometheus::Error> {
    let info = make.gauges("build_info", "Always 1", &["version", "revision", "rustc"])?;
    let labels = [
        env!("CARGO_PKG_VERSION"),
        env!("BUILD_REVISION"),
        env!("BUILD_RUSTC"),
    ];
    info.with_label_values(&labels).set(1);
    Ok(())
}
