//! The Helm chart, rendered and installed by real Helm: what it accepts, what it refuses, what comes out, and that it runs.
#![cfg(test)] // so that clippy knows the functions between the tests as tests' own

mod configuration;
mod deploy;
mod generated;
mod helm;
mod install;
mod objects;
mod readme;
mod values;
