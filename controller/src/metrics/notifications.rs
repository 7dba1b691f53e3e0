//! Series about notifications.

use prometheus::IntCounterVec;

use super::make::Make;

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The sink accepted it.
    Sent,
    /// It did not, in spite of retries.
    Failed,
    /// Newer ones took its place before it was its turn.
    Dropped,
}

impl Outcome {
    const ALL: [Self; 3] = [Self::Sent, Self::Failed, Self::Dropped];

    fn as_str(self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::Failed => "failed",
            Self::Dropped => "dropped",
        }
    }
}

/// What sinks were sent.
pub(crate) struct Notifications(IntCounterVec);

impl Notifications {
    pub(super) fn new(make: &Make<'_>) -> Result<Self, prometheus::Error> {
        let counters = make.counters(
            "notifications_total",
            "Total notifications by sink and outcome",
            &["sink", "outcome"],
        )?;
        Ok(Self(counters))
    }

    /// A sink is configured: its series begin at nothing.
    pub(crate) fn configured(&self, sink: &str) {
        for outcome in Outcome::ALL {
            self.0.with_label_values(&[sink, outcome.as_str()]);
        }
    }

    /// This became of a message.
    pub(crate) fn ended(&self, sink: &str, outcome: Outcome) {
        self.0.with_label_values(&[sink, outcome.as_str()]).inc();
    }
}
