//! Measures what the controller costs with many workloads: requests, CPU, memory and latencies, phase by phase.
//!
//! `cargo bench-scale [OPTIONS]`

mod arguments;
mod bare;
mod cluster;
mod figures;
mod latencies;
mod meter;
mod others;
mod phases;
mod subject;
mod timeline;

use std::process::ExitCode;

use kube_autorollout_testbed::program::{Failure, Program, write};

use arguments::Arguments;

const PROGRAM: Program = Program::new("bench-scale", arguments::HELP);

fn main() -> ExitCode {
    let arguments = Arguments::parse(std::env::args_os().skip(1));
    PROGRAM.run(arguments, async |arguments| {
        let report = subject::measure_all(&arguments).await?;
        if arguments.json {
            write(&format!("{:#}\n", report.json()));
        } else {
            write(&report.to_string());
        }
        Ok(true)
    })
}

fn tell(text: &str) {
    PROGRAM.tell(text);
}
