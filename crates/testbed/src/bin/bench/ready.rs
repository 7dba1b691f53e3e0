//! Waiting for the controller.

use std::time::Duration;

use kube_autorollout_testbed::{
    controller::Controller,
    program::Failure,
    workload::{each_thousand, eventually},
};

/// How long the controller may take to check, or to roll out, everything, for each thousand workloads.
const DONE_WITHIN: Duration = Duration::from_secs(180);

/// Waits until this many workloads are up to date.
pub(crate) async fn up_to_date(controller: &Controller, workloads: usize) -> Result<(), Failure> {
    let states = [("state", "UpToDate")];
    let within = each_thousand(DONE_WITHIN, workloads);
    eventually(within, "every workload is up to date", async || {
        let metrics = controller.metrics().await;
        let metrics = metrics.map_err(|error| error.to_string())?;
        let done = metrics.count("kube_autorollout_workloads", &states);
        if done == workloads as u64 {
            Ok(())
        } else {
            Err(format!("{done} of {workloads} are"))
        }
    })
    .await?;
    Ok(())
}
