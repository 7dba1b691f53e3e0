//! Workloads whose pods are not all available: each digest is rolled out all the same, and once, and no other workload waits
//! for it, though only one rollout may be in flight at a time.

mod nodes;
mod pods;
mod scene;
