//! Runs many workloads under faults that are drawn from a seed, and judges the controller.
//!
//! `cargo chaos [OPTIONS] [SEED]`

mod arguments;

use std::process::ExitCode;

use kube_autorollout_testbed::{
    chaos::{self, Plan, Report},
    control_plane::NodeGrace,
    program::{Failure, Program, write},
};

use arguments::Arguments;

const PROGRAM: Program = Program::new("chaos", arguments::HELP);

fn main() -> ExitCode {
    let arguments = Arguments::parse(std::env::args_os().skip(1));
    PROGRAM.run(arguments, async |arguments| {
        let plan = Plan::new(arguments.seed, arguments.scale);
        write(&plan.to_string());
        if arguments.plan {
            return Ok(true);
        }
        let report = run(&arguments, &plan).await?;
        write(&report.to_string());
        Ok(report.is_fine())
    })
}

async fn run(arguments: &Arguments, plan: &Plan) -> Result<Report, Failure> {
    let (testbed, program) = PROGRAM
        .prepared(arguments.program.as_deref(), NodeGrace::QUICK)
        .await?;
    let progress = |text: &str| PROGRAM.progress(text);
    Ok(chaos::run(&testbed, &program, plan, &progress).await?)
}
