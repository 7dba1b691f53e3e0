//! Providers against the testbed's clouds, which check every byte that matters.
#![cfg(test)] // so that clippy knows the functions between the tests as tests' own

mod aws;
mod azure;
mod given;
mod google;
mod rules;
