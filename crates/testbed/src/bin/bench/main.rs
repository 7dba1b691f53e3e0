//! Measures the release binary on a real control plane: in short, or with many workloads phase by phase.
//!
//! `just bench [--json]`, `cargo bench-scale [OPTIONS]`

mod arguments;
mod ready;
mod scale;
mod summary;

use std::{fmt::Display, process::ExitCode};

use kube_autorollout_testbed::program::write;
use serde_json::Value;

use arguments::{Command, PROGRAM};
use scale::brown_out;

fn main() -> ExitCode {
    let command = Command::parse(std::env::args_os().skip(1));
    PROGRAM.run(command, async |command| match command {
        Command::Summary { json } => {
            let figures = summary::measure().await?;
            show(json, &figures, summary::Figures::json);
            Ok(true)
        }
        Command::Scale(options) if options.brown_out => {
            let report = brown_out::measure(&options).await?;
            show(options.json, &report, brown_out::Report::json);
            Ok(report.is_fine())
        }
        Command::Scale(options) => {
            let report = scale::measure(&options).await?;
            show(options.json, &report, scale::Report::json);
            Ok(true)
        }
    })
}

fn show<R: Display>(as_json: bool, report: &R, json: impl FnOnce(&R) -> Value) {
    if as_json {
        write(&format!("{:#}\n", json(report)));
    } else {
        write(&report.to_string());
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "one digit after the point is shown"
)]
pub(crate) fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / 1024.0 / 1024.0
}
