//! The testbed itself, on the real programs.

mod servers;
