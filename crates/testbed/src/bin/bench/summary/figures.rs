//! The figures of a summary.

use std::{fmt, time::Duration};

use serde_json::{Value, json};

use crate::mebibytes;

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
        let memory = |bytes| format!("{:>6.1} MiB", mebibytes(bytes));
        let time = |time: Duration| format!("{:>6.2} s", time.as_secs_f64());
        let rows = [
            ("release binary, stripped".to_owned(), memory(self.binary)),
            ("resident when idle".to_owned(), memory(self.idle)),
            (
                format!("resident with {} workloads", self.workloads),
                memory(self.busy),
            ),
            (
                format!("{stale} stale workloads on {tags} tags, first request to last patch"),
                time(self.rolled_out),
            ),
            (
                "from the kill of a leader to the patch of the next".to_owned(),
                time(self.failed_over),
            ),
            (
                "from a push that the registry announces to the patch, median".to_owned(),
                format!(
                    "{}, at most {:.2} s",
                    time(self.hinted),
                    self.hinted_at_most.as_secs_f64()
                ),
            ),
        ];
        for (figure, value) in rows {
            writeln!(formatter, "{figure:<62} {value}")?;
        }
        Ok(())
    }
}
