//! What it costs to ask where the workloads stand.

use std::time::{Duration, Instant};

use kube_autorollout_testbed::{controller::Controller, program::Failure};

use super::{cluster::Cluster, figures::Phase, meter::Meter};

/// So often is asked for each.
const TIMES: usize = 5;

/// All rows, and the first page of them.
const PATHS: [&str; 2] = ["/status.json", "/"];

/// Asks for all rows and for a page of them, one after the other.
pub(super) async fn asked(
    cluster: &Cluster<'_>,
    controller: &Controller,
) -> Result<Phase, Failure> {
    let before = controller.resident_memory()?;
    let meter = Meter::start(cluster.testbed, &cluster.namespace, Some(controller))?;
    let mut remarks = Vec::new();
    for path in PATHS {
        let mut times = Vec::new();
        let mut length = 0;
        for _ in 0..TIMES {
            let begun = Instant::now();
            let (status, body) = controller.get(path).await?;
            times.push(begun.elapsed());
            if status != 200 {
                return Err(format!("{path} responds with {status}: {body}").into());
            }
            length = body.len();
        }
        times.sort();
        remarks.push(format!(
            "{path}: {length} bytes in {} ms, the median of {TIMES}; at most {} ms",
            milliseconds(times.get(TIMES / 2)),
            milliseconds(times.last()),
        ));
    }
    let mut phase = meter.read("status", controller)?;
    remarks.push(format!(
        "at most {} KiB more memory than before",
        phase.peak.saturating_sub(before) / 1024
    ));
    phase.remarks.extend(remarks);
    Ok(phase)
}

fn milliseconds(time: Option<&Duration>) -> u128 {
    time.map_or(0, Duration::as_millis)
}
