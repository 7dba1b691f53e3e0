//! The testbed itself, on the real programs.

mod faults;
mod nodes;
mod orphans;
mod registries;
mod servers;
mod tools;
