//! Two minutes of what a bad night is made of, against a control plane of their own, as its API server is stopped.
//!
//! `CHAOS_SEED` draws other faults. `cargo chaos` is the long run.
#![cfg(test)] // so that clippy knows the functions between the tests as tests' own

use std::path::Path;

use kube_autorollout_testbed::{
    alone_with,
    chaos::{self, Plan, Scale},
    control_plane::NodeGrace,
    environment::with_sources,
};

/// The default seed.
const SEED: u64 = 20_261_125;

#[expect(
    clippy::disallowed_methods,
    reason = "who runs the test chooses the seed"
)]
fn seed() -> u64 {
    match std::env::var("CHAOS_SEED") {
        Ok(text) => text.parse().expect("CHAOS_SEED is a number"),
        Err(_) => SEED,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn through_every_fault_no_workload_is_patched_without_need_or_twice_and_none_is_left_behind()
{
    let plan = Plan::new(seed(), Scale::SHORT);
    eprintln!("{plan}");
    let program = Path::new(env!("CARGO_BIN_EXE_kube-autorollout"));
    let progress = |text: &str| eprintln!("{text}");
    let testbed = alone_with(NodeGrace::QUICK).await;
    let run = chaos::run(&testbed, program, &plan, &progress).await;
    let report = run.unwrap_or_else(|error| panic!("{}", with_sources(&error)));
    assert!(report.is_fine(), "{report}");
    eprintln!("{report}");
    let [all, ours] = report.workloads;
    assert!(ours > all / 2, "most workloads count: {ours} of {all}");
    assert!(report.patches > ours / 2, "{} patches", report.patches);
}
