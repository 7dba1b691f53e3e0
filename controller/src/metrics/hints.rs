//! Series about hints.

use std::time::Duration;

use prometheus::{Histogram, HistogramOpts, IntCounterVec};

use super::make::Make;

/// Seconds from a hint to the patch that it led to.
const BUCKETS: &[f64] = &[0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 60.0];

/// What became of a hint, or of a request that had none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Received {
    /// Its image is checked.
    Checked,
    /// Its image is being checked.
    Coalesced,
    /// A notification of something else than a push of an image.
    Ignored,
    /// No workload runs the image.
    UnknownImage,
    /// The sender is not who it must be.
    Unauthenticated,
    /// It cannot be read.
    Malformed,
    /// The receiver has taken too many.
    Limited,
}

impl Received {
    const ALL: [Self; 7] = [
        Self::Checked,
        Self::Coalesced,
        Self::Ignored,
        Self::UnknownImage,
        Self::Unauthenticated,
        Self::Malformed,
        Self::Limited,
    ];

    /// The word for logs and metrics.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Checked => "checked",
            Self::Coalesced => "coalesced",
            Self::Ignored => "ignored",
            Self::UnknownImage => "unknown_image",
            Self::Unauthenticated => "unauthenticated",
            Self::Malformed => "malformed",
            Self::Limited => "limited",
        }
    }
}

/// What senders said, and how soon it led to something.
pub(crate) struct Hints {
    received: IntCounterVec,
    to_patch: Histogram,
}

impl Hints {
    pub(super) fn new(make: &Make<'_>) -> Result<Self, prometheus::Error> {
        let to_patch = HistogramOpts::new(
            "hint_to_patch_seconds",
            "Time from a hint to the patch of a workload that runs its image",
        );
        Ok(Self {
            received: make.counters(
                "hints_total",
                "Total hints by receiver and outcome",
                &["receiver", "outcome"],
            )?,
            to_patch: make.keep(Histogram::with_opts(to_patch.buckets(BUCKETS.to_vec()))?)?,
        })
    }

    /// A receiver is configured: its series begin at nothing.
    pub(crate) fn receiving(&self, receiver: &str) {
        for outcome in Received::ALL {
            self.received(receiver, outcome, 0);
        }
    }

    /// A request to a receiver, or one of its hints, came to this.
    pub(crate) fn received(&self, receiver: &str, outcome: Received, count: usize) {
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        let labels = [receiver, outcome.as_str()];
        self.received.with_label_values(&labels).inc_by(count);
    }

    /// A workload was patched so long after a hint for its image.
    pub(crate) fn patched(&self, after: Duration) {
        self.to_patch.observe(after.as_secs_f64());
    }
}
