//! The Helm chart, rendered by real Helm: what it accepts, what it refuses, and what comes out.
#![cfg(test)] // so that clippy knows the functions between the tests as tests' own

mod configuration;
mod helm;
mod objects;
mod values;
