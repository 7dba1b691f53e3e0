//! Metrics of hints.

use std::time::Duration;

use prometheus::{Histogram, HistogramOpts, IntCounterVec};

use super::registrar::Registrar;

/// Seconds from a hint to the patch.
const BUCKETS: &[f64] = &[0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 60.0];

label! {
    /// Outcome of a hint, or of a request without one.
    HintOutcome {
        /// A check of its image was started.
        Checked = "checked",
        /// A check of its image began less than a second ago and is repeated.
        Coalesced = "coalesced",
        /// A notification of another event than the push of an image.
        Ignored = "ignored",
        /// No workload runs the image.
        UnknownImage = "unknown_image",
        /// The sender is not authenticated.
        Unauthenticated = "unauthenticated",
        /// The request is malformed.
        Malformed = "malformed",
        /// The rate limit of the receiver is exceeded, or other large requests use up the memory for bodies.
        Limited = "limited",
    }
}

/// The metrics of hints.
pub(crate) struct Hints {
    received: IntCounterVec,
    to_patch: Histogram,
}

impl Hints {
    pub(super) fn new(registrar: &Registrar<'_>) -> Result<Self, prometheus::Error> {
        let to_patch = HistogramOpts::new(
            "hint_to_patch_seconds",
            "Time from a hint to the patch of a workload that runs its image",
        );
        Ok(Self {
            received: registrar.counters(
                "hints_total",
                "Total hints by receiver and outcome",
                &["receiver", "outcome"],
            )?,
            to_patch: registrar
                .register(Histogram::with_opts(to_patch.buckets(BUCKETS.to_vec()))?)?,
        })
    }

    /// Creates the series of a receiver, so that they start at 0.
    pub(crate) fn receiving(&self, receiver: &str) {
        for outcome in HintOutcome::ALL {
            self.received(receiver, *outcome, 0);
        }
    }

    /// Counts hints of a receiver with this outcome, or a request without one.
    pub(crate) fn received(&self, receiver: &str, outcome: HintOutcome, count: usize) {
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        let labels = [receiver, outcome.as_str()];
        self.received.with_label_values(&labels).inc_by(count);
    }

    /// Observes the time from a hint to the patch of a workload.
    pub(crate) fn patched(&self, after: Duration) {
        self.to_patch.observe(after.as_secs_f64());
    }
}
