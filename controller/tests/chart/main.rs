//! The Helm chart, rendered and installed by real Helm: what it accepts, what it refuses, what comes out, and that it runs.
#![cfg(test)] // so that clippy knows the functions between the tests as tests' own

mod clouds;
mod configuration;
mod deploy;
mod documentation;
mod generated;
mod helm;
mod hints;
mod install;
mod liveness;
mod matrix;
mod monitors;
mod notifications;
mod objects;
#[path = "../e2e/pages.rs"]
mod pages;
mod pinning;
mod readme;
mod rotation;
mod schemas;
mod status;
mod upgrade;
mod validity;
mod values;
