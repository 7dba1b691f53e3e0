//! What the chart gives Prometheus and Grafana: the alert rules and the dashboard, without a cluster.
#![cfg(test)] // so that clippy knows the functions between the tests as tests' own

mod alerts;

use std::path::PathBuf;

/// A file of the repository.
fn path(file: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .join(file)
}
