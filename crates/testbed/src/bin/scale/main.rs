//! Measures what the controller costs with many workloads: requests, CPU, memory and latencies, phase by phase.
//!
//! `cargo bench-scale [OPTIONS]`

mod arguments;
mod bare;
mod brown_out;
mod cluster;
mod figures;
mod latencies;
mod meter;
mod others;
mod phases;
mod subject;
mod timeline;

use std::{fmt::Display, process::ExitCode};

use kube_autorollout_testbed::program::{Failure, Program, write};
use serde_json::Value;

use arguments::Arguments;

const PROGRAM: Program = Program::new("bench-scale", arguments::HELP);

fn main() -> ExitCode {
    let arguments = Arguments::parse(std::env::args_os().skip(1));
    PROGRAM.run(arguments, async |arguments| {
        if arguments.brown_out {
            let report = brown_out::measure(&arguments).await?;
            show(arguments.json, &report, brown_out::Report::json);
            return Ok(report.is_fine());
        }
        let report = subject::measure_all(&arguments).await?;
        show(arguments.json, &report, figures::Report::json);
        Ok(true)
    })
}

fn show<R: Display>(as_json: bool, report: &R, json: impl FnOnce(&R) -> Value) {
    if as_json {
        write(&format!("{:#}\n", json(report)));
    } else {
        write(&report.to_string());
    }
}

fn tell(text: &str) {
    PROGRAM.tell(text);
}
