//! The testbed itself, on the real programs.

mod faults;
mod nodes;
mod orphans;
mod pins;
mod registries;
mod servers;
mod tools;
