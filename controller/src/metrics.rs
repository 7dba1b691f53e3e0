//! Prometheus metrics. Their names and labels are a contract with users.
//!
//! Label values are names of objects, kinds, hosts and closed sets of words; never an image, a digest or an error's text.

/// Declares an enum with the label value of each variant.
macro_rules! label {
    ($(#[$about:meta])* $name:ident { $($(#[$meaning:meta])* $variant:ident = $value:literal,)+ }) => {
        $(#[$about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum $name {
            $($(#[$meaning])* $variant,)+
        }

        impl $name {
            const ALL: &[Self] = &[$(Self::$variant),+];

            /// The label value.
            pub(crate) const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $value,)+
                }
            }
        }
    };
}

pub(crate) mod hints;
pub(crate) mod notifications;
mod per_workload;
mod registrar;
mod registries;
pub(crate) mod registry_observer;
mod workloads;

use std::{collections::BTreeMap, time::Duration};

use prometheus::{
    HistogramVec, IntCounter, IntCounterVec, IntGauge, Registry, TextEncoder,
    process_collector::ProcessCollector,
};
use tracing::error;

use self::{
    hints::Hints, notifications::Notifications, registrar::Registrar, registries::Registries,
    workloads::Workloads,
};
pub(crate) use workloads::RolloutOutcome;

/// Prefix of all series except those of the process.
const PREFIX: &str = "kube_autorollout";

/// Seconds: a reconcile without I/O takes microseconds, one that waits for a registry up to a minute.
const RECONCILE_BUCKETS: &[f64] = &[0.0001, 0.001, 0.005, 0.025, 0.1, 0.5, 2.5, 10.0, 60.0];

/// Outcome of a reconcile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ReconcileOutcome {
    /// The workload was patched.
    Changed,
    /// The workload was not patched.
    Unchanged,
    /// The reconcile failed and is retried.
    Error,
}

impl ReconcileOutcome {
    fn as_str(self) -> &'static str {
        match self {
            Self::Changed => "changed",
            Self::Unchanged => "unchanged",
            Self::Error => "error",
        }
    }
}

/// All series of the controller.
pub(crate) struct Metrics {
    /// About workloads and their rollouts.
    pub(crate) workloads: Workloads,
    /// About registries.
    pub(crate) registries: Registries,
    /// About hints.
    pub(crate) hints: Hints,
    /// About notifications.
    pub(crate) notifications: Notifications,
    own: Registry,
    process: Registry,
    reconciles: IntCounterVec,
    reconcile_duration: HistogramVec,
    watch_errors: IntCounterVec,
    events_dropped: IntCounter,
    leader: IntGauge,
}

impl Metrics {
    /// Registers all series.
    ///
    /// # Errors
    ///
    /// When a name or label is invalid, which is a bug.
    pub(crate) fn new() -> Result<Self, prometheus::Error> {
        let own = Registry::new_custom(Some(PREFIX.to_owned()), None)?;
        let process = Registry::new();
        process.register(Box::new(ProcessCollector::for_self()))?;
        let registrar = Registrar(&own);
        build_info(&registrar)?;
        let leader = IntGauge::new("leader", "1 if this replica leads")?;
        let dropped = IntCounter::new(
            "events_dropped_total",
            "Total Events that could not be written",
        )?;
        Ok(Self {
            workloads: Workloads::new(&registrar)?,
            registries: Registries::new(&registrar)?,
            hints: Hints::new(&registrar)?,
            notifications: Notifications::new(&registrar)?,
            reconciles: registrar.counters(
                "reconciliations_total",
                "Total reconciles by outcome",
                &["kind", "outcome"],
            )?,
            reconcile_duration: registrar.histograms(
                "reconcile_duration_seconds",
                "Time from the start of a reconcile to its decision, including the fetches it waited for",
                &["kind", "outcome"],
                RECONCILE_BUCKETS,
            )?,
            watch_errors: registrar.counters(
                "watch_errors_total",
                "Total errors of watches",
                &["kind"],
            )?,
            events_dropped: registrar.register(dropped)?,
            leader: registrar.register(leader)?,
            own,
            process,
        })
    }

    /// Encodes all series in Prometheus's text format. `quarantined` is the number of credentials in quarantine per registry,
    /// which only the leader reports.
    pub(crate) fn encode(&self, leads: bool, quarantined: &BTreeMap<String, usize>) -> String {
        self.leader.set(leads.into());
        if leads {
            self.registries.quarantined(quarantined);
        } else {
            self.registries.clear();
        }
        let mut families = self.own.gather();
        families.extend(self.process.gather());
        let mut text = String::new();
        if let Err(error) = TextEncoder::new().encode_utf8(&families, &mut text) {
            error!(%error, "cannot encode the metrics");
        }
        self.workloads.gauges.write(PREFIX, &mut text);
        text
    }

    /// Counts a completed reconcile.
    pub(crate) fn reconciled(&self, kind: &str, outcome: ReconcileOutcome, took: Duration) {
        let labels = [kind, outcome.as_str()];
        self.reconciles.with_label_values(&labels).inc();
        self.reconcile_duration
            .with_label_values(&labels)
            .observe(took.as_secs_f64());
    }

    /// Creates the series of a watch, so that its first error is an increase from 0.
    pub(crate) fn watching(&self, kind: &str) {
        self.watch_errors.with_label_values(&[kind]);
    }

    /// Counts an error of a watch.
    pub(crate) fn watch_error(&self, kind: &str) {
        self.watch_errors.with_label_values(&[kind]).inc();
    }

    /// Counts a lost Event.
    pub(crate) fn event_dropped(&self) {
        self.events_dropped.inc();
    }
}

fn build_info(registrar: &Registrar<'_>) -> Result<(), prometheus::Error> {
    let info = registrar.gauges("build_info", "Always 1", &["version", "revision", "rustc"])?;
    let labels = [
        env!("CARGO_PKG_VERSION"),
        env!("BUILD_REVISION"),
        env!("BUILD_RUSTC"),
    ];
    info.with_label_values(&labels).set(1);
    Ok(())
}
