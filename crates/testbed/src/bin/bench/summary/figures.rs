//! What was measured.

use std::{fmt, time::Duration};

use serde_json::{Value, json};

/// The figures of one run.
pub(crate) struct Figures {
    /// The size of the stripped release binary, in bytes.
    pub(crate) binary: u64,
    /// Resident memory without any workload, in bytes.
    pub(crate) idle: u64,
    /// How many workloads were watched for the next figure.
    pub(crate) workloads: usize,
    /// Resident memory with those workloads, in bytes.
    pub(crate) busy: u64,
    /// How many stale workloads, on how many tags, were rolled out for the next figure.
    pub(crate) stale: (usize, usize),
    /// From the first registry request to the last patch.
    pub(crate) rolled_out: Duration,
    /// From the kill of a leader to the first patch of the replica that follows it.
    pub(crate) failed_over: Duration,
    /// From the end of a push that the registry itself announces to the patch, with a schedule of an hour: the median.
    pub(crate) hinted: Duration,
    /// The longest of them.
    pub(crate) hinted_at_most: Duration,
}

const MEBIBYTE: f64 = 1024.0 * 1024.0;

impl Figures {
    pub(crate) fn json(&self) -> Value {
        json!({
            "binary_bytes": self.binary,
            "resident_bytes_idle": self.idle,
            "workloads": self.workloads,
            "resident_bytes_with_workloads": self.busy,
            "stale_workloads": self.stale.0,
            "stale_tags": self.stale.1,
            "seconds_from_first_request_to_last_patch": self.rolled_out.as_secs_f64(),
            "seconds_from_kill_to_patch_of_the_next_leader": self.failed_over.as_secs_f64(),
            "seconds_from_announced_push_to_patch": self.hinted.as_secs_f64(),
            "seconds_from_announced_push_to_patch_at_most": self.hinted_at_most.as_secs_f64(),
        })
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (stale, tags) = self.stale;
        let busy = format!("resident with {} workloads", self.workloads);
        let fast = format!("{stale} stale workloads on {tags} tags, first request to last patch");
        writeln!(
            formatter,
            "{:<62} {:>6.1} MiB",
            "release binary, stripped",
            mebibytes(self.binary)
        )?;
        writeln!(
            formatter,
            "{:<62} {:>6.1} MiB",
            "resident when idle",
            mebibytes(self.idle)
        )?;
        writeln!(formatter, "{busy:<62} {:>6.1} MiB", mebibytes(self.busy))?;
        writeln!(
            formatter,
            "{fast:<62} {:>6.2} s",
            self.rolled_out.as_secs_f64()
        )?;
        writeln!(
            formatter,
            "{:<62} {:>6.2} s",
            "from the kill of a leader to the patch of the next",
            self.failed_over.as_secs_f64()
        )?;
        writeln!(
            formatter,
            "{:<62} {:>6.2} s, at most {:.2} s",
            "from a push that the registry announces to the patch, median",
            self.hinted.as_secs_f64(),
            self.hinted_at_most.as_secs_f64()
        )
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "one digit after the point is shown"
)]
fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / MEBIBYTE
}
