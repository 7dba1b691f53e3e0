//! Metrics of notifications.

use prometheus::IntCounterVec;

use super::registrar::Registrar;

label! {
    /// Outcome of a message.
    DeliveryOutcome {
        /// The sink accepted it.
        Sent = "sent",
        /// The sink did not accept it, despite retries.
        Failed = "failed",
        /// It was displaced by newer messages.
        Dropped = "dropped",
    }
}

/// The metrics of notifications.
pub(crate) struct Notifications(IntCounterVec);

impl Notifications {
    pub(super) fn new(registrar: &Registrar<'_>) -> Result<Self, prometheus::Error> {
        let counters = registrar.counters(
            "notifications_total",
            "Total notifications by sink and outcome",
            &["sink", "outcome"],
        )?;
        Ok(Self(counters))
    }

    /// Creates the series of a sink, so that they start at 0.
    pub(crate) fn configured(&self, sink: &str) {
        for outcome in DeliveryOutcome::ALL {
            self.0.with_label_values(&[sink, outcome.as_str()]);
        }
    }

    /// Counts a message.
    pub(crate) fn message(&self, sink: &str, outcome: DeliveryOutcome) {
        self.0.with_label_values(&[sink, outcome.as_str()]).inc();
    }
}
