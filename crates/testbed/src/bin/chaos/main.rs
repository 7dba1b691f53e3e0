//! Leads many workloads through faults that a seed draws, and judges what the controller made of it.
//!
//! `cargo chaos [OPTIONS] [SEED]`

mod arguments;

use std::process::ExitCode;

use kube_autorollout_testbed::{
    Testbed,
    chaos::{self, Plan, Report},
    controller,
    program::{Failure, Program, write},
    programs::{Programs, Progress},
};
use tokio::task::spawn_blocking;

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
    let tell = |text: &str| PROGRAM.tell(text);
    let progress = |progress: &Progress| PROGRAM.tell(&progress.to_string());
    let programs = spawn_blocking(move || Programs::find(&progress)).await??;
    let program = if let Some(program) = &arguments.program {
        program.clone()
    } else {
        tell("building the controller");
        spawn_blocking(|| controller::build(&|_| {})).await??
    };
    tell("starting the testbed");
    let testbed = Testbed::start(programs).await?;
    Ok(chaos::run(&testbed, &program, plan, &tell).await?)
}
