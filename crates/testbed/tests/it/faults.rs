//! What goes wrong in a cluster without any workload's doing: each fault is the real one, by what the API server shows.
#![cfg(test)] // so that clippy knows the functions between the tests as tests' own

mod admission;
mod away;
mod capacity;
mod mirrors;
mod readiness;
