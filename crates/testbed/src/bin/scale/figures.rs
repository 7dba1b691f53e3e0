//! What was measured, for people and for machines.

use std::{collections::BTreeMap, fmt, time::Duration};

use serde_json::{Value, json};

use super::latencies::Latencies;

const MEBIBYTE: f64 = 1024.0 * 1024.0;

/// What one phase cost.
#[derive(Debug)]
pub(super) struct Phase {
    pub(super) name: &'static str,
    pub(super) took: Duration,
    /// Requests to the API server, by verb and resource.
    pub(super) api: BTreeMap<String, u64>,
    /// Requests to the registry, by method.
    pub(super) registry: BTreeMap<String, u64>,
    /// CPU time of the program.
    pub(super) cpu: Duration,
    /// Resident memory at the end, in bytes.
    pub(super) resident: u64,
    /// The most resident memory within the phase, in bytes.
    pub(super) peak: u64,
    pub(super) latencies: Option<Latencies>,
    /// What else is to be said.
    pub(super) remarks: Vec<String>,
}

/// What one program cost.
#[derive(Debug)]
pub(super) struct Program {
    pub(super) name: String,
    /// Its file, in bytes.
    pub(super) size: u64,
    pub(super) phases: Vec<Phase>,
}

/// Everything that was measured in one run.
#[derive(Debug)]
pub(super) struct Report {
    pub(super) workloads: usize,
    pub(super) tags: usize,
    pub(super) latency: Duration,
    pub(super) programs: Vec<Program>,
    /// How long as many bare patches take on this machine.
    pub(super) bare_patches: Duration,
}

impl Report {
    pub(super) fn json(&self) -> Value {
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
            "round_trip_seconds": self.latency.as_secs_f64(),
            "bare_patches_seconds": self.bare_patches.as_secs_f64(),
            "programs": programs.collect::<Vec<_>>(),
        })
    }
}

impl Phase {
    fn json(&self) -> Value {
        json!({
            "phase": self.name,
            "seconds": self.took.as_secs_f64(),
            "api_requests": self.api,
            "registry_requests": self.registry,
            "cpu_seconds": self.cpu.as_secs_f64(),
            "resident_bytes": self.resident,
            "peak_bytes": self.peak,
            "latencies": self.latencies.as_ref().map(Latencies::json),
            "remarks": self.remarks,
        })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            formatter,
            "{} Deployments on {} tags, {} ms round trip to the registry; {} bare patches over 16 connections: {:.2} s",
            self.workloads,
            self.tags,
            self.latency.as_millis(),
            self.workloads,
            self.bare_patches.as_secs_f64(),
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
        Ok(())
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
        if let Some(latencies) = &self.latencies {
            writeln!(
                formatter,
                "      {} after the first request: median {:.2} s, 99 % {:.2} s, last {:.2} s",
                latencies.count,
                latencies.median.as_secs_f64(),
                latencies.most.as_secs_f64(),
                latencies.last.as_secs_f64(),
            )?;
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
    reason = "one digit after the point is shown"
)]
fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / MEBIBYTE
}

#[expect(
    clippy::cast_precision_loss,
    reason = "two digits after the point are shown"
)]
fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}
