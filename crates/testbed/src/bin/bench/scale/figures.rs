//! The figures, as text and as JSON.

use std::{collections::BTreeMap, fmt, time::Duration};

use kube_autorollout_testbed::workload::Kind;
use serde_json::{Value, json};

use super::{latencies::Latencies, others::Others, timeline::Timeline};
use crate::mebibytes;

/// The cost of one phase.
#[derive(Debug)]
pub(crate) struct Phase {
    pub(crate) name: &'static str,
    pub(crate) took: Duration,
    /// Requests to the API server, by verb and resource.
    pub(crate) api: BTreeMap<String, u64>,
    /// Requests to the registry, by method and kind of object.
    pub(crate) registry: BTreeMap<String, u64>,
    /// Lines that the program logged at the level `info` and above.
    pub(crate) log_lines: usize,
    /// CPU time of the program.
    pub(crate) cpu: Duration,
    /// Resident memory at the end, in bytes.
    pub(crate) resident: u64,
    /// The most resident memory within the phase, in bytes.
    pub(crate) peak: u64,
    /// The CPU time of everything else.
    pub(crate) others: Others,
    pub(crate) latencies: Option<Latencies>,
    /// Where patches are timed.
    pub(crate) timeline: Option<Timeline>,
    /// Further remarks.
    pub(crate) remarks: Vec<String>,
}

/// The cost of one program.
#[derive(Debug)]
pub(crate) struct Program {
    pub(crate) name: String,
    /// Its file, in bytes.
    pub(crate) size: u64,
    pub(crate) phases: Vec<Phase>,
}

/// Everything that was measured in one run.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) workloads: usize,
    pub(crate) tags: usize,
    pub(crate) kinds: Vec<Kind>,
    pub(crate) latency: Duration,
    pub(crate) programs: Vec<Program>,
    /// As many patches with nothing to decide, where patches of all workloads are measured.
    pub(crate) bare: Vec<Bare>,
}

/// As many patches as there are workloads, over sixteen connections, with nothing decided.
#[derive(Debug)]
pub(crate) struct Bare {
    /// When they were made.
    pub(crate) when: String,
    pub(crate) timeline: Timeline,
    pub(crate) others: Others,
}

impl Report {
    pub(crate) fn json(&self) -> Value {
        let programs = self.programs.iter().map(|program| {
            json!({
                "name": program.name,
                "binary_bytes": program.size,
                "phases": program.phases.iter().map(Phase::json).collect::<Vec<_>>(),
            })
        });
        json!({
            "workloads": self.workloads,
            "tags": self.tags,
            "kinds": self.kinds(),
            "round_trip_seconds": self.latency.as_secs_f64(),
            "bare_patches": self.bare.iter().map(Bare::json).collect::<Vec<_>>(),
            "programs": programs.collect::<Vec<_>>(),
        })
    }

    fn kinds(&self) -> Vec<String> {
        let kinds = self.kinds.iter();
        kinds.map(|kind| kind.resource().kind).collect()
    }
}

impl Phase {
    fn json(&self) -> Value {
        json!({
            "phase": self.name,
            "seconds": self.took.as_secs_f64(),
            "api_requests": self.api,
            "registry_requests": self.registry,
            "log_lines": self.log_lines,
            "cpu_seconds": self.cpu.as_secs_f64(),
            "resident_bytes": self.resident,
            "peak_bytes": self.peak,
            "other_cpu_seconds": self.others.json(),
            "latencies": self.latencies.as_ref().map(Latencies::json),
            "timeline": self.timeline.as_ref().map(Timeline::json),
            "remarks": self.remarks,
        })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            formatter,
            "{} workloads ({}) on {} tags, {} ms round trip to the registry",
            self.workloads,
            self.kinds().join(", "),
            self.tags,
            self.latency.as_millis(),
        )?;
        for program in &self.programs {
            writeln!(
                formatter,
                "\n{} ({:.2} MB)",
                program.name,
                megabytes(program.size)
            )?;
            for phase in &program.phases {
                write!(formatter, "{phase}")?;
            }
        }
        for bare in &self.bare {
            write!(formatter, "\n{bare}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Bare {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "bare patches {}", self.when)?;
        writeln!(formatter, "      {}", self.timeline.summary())?;
        writeln!(formatter, "      others: {}", self.others)
    }
}

impl Bare {
    fn json(&self) -> Value {
        json!({
            "when": self.when,
            "timeline": self.timeline.json(),
            "other_cpu_seconds": self.others.json(),
        })
    }
}

impl Others {
    fn json(&self) -> Value {
        let seconds = |time: &Duration| time.as_secs_f64();
        let each = self.each.iter().map(|(name, time)| (*name, seconds(time)));
        let all = each.chain([("machine", seconds(&self.machine))]);
        json!(all.collect::<BTreeMap<_, _>>())
    }
}

impl fmt::Display for Others {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, time) in &self.each {
            write!(formatter, "{name} {:.2} s, ", time.as_secs_f64())?;
        }
        write!(
            formatter,
            "the machine as a whole {:.2} s",
            self.machine.as_secs_f64()
        )
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            formatter,
            "  {:<28} {:>7.1} s   cpu {:>7.3} s   resident {:>6.1} MiB, peak {:>6.1}",
            self.name,
            self.took.as_secs_f64(),
            self.cpu.as_secs_f64(),
            mebibytes(self.resident),
            mebibytes(self.peak),
        )?;
        writeln!(formatter, "      API server: {}", listed(&self.api))?;
        writeln!(formatter, "      registry:   {}", listed(&self.registry))?;
        writeln!(formatter, "      log:        {} lines", self.log_lines)?;
        writeln!(formatter, "      others:     {}", self.others)?;
        if let Some(latencies) = &self.latencies {
            writeln!(
                formatter,
                "      {} after the push or, of all tags, the first request: median {:.2} s, 99 % {:.2} s, last {:.2} s",
                latencies.count,
                latencies.median.as_secs_f64(),
                latencies.most.as_secs_f64(),
                latencies.last.as_secs_f64(),
            )?;
        }
        if let Some(timeline) = &self.timeline {
            writeln!(formatter, "      {}", timeline.summary())?;
        }
        for remark in &self.remarks {
            writeln!(formatter, "      {remark}")?;
        }
        Ok(())
    }
}

fn listed(counts: &BTreeMap<String, u64>) -> String {
    let each = counts.iter().map(|(what, count)| format!("{count} {what}"));
    let all = each.collect::<Vec<_>>().join(", ");
    if all.is_empty() {
        "nothing".to_owned()
    } else {
        all
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "two digits after the point are shown"
)]
fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}
