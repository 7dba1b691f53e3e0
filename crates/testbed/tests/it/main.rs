//! The testbed itself, on the real programs.

mod orphans;
mod registries;
mod nodes;
mod servers;
