//! The controller's binary against a real control plane, a real registry and simulated nodes.
//!
//! One control plane for all tests; each has a namespace, a repository and a controller of its own.
#![cfg(test)] // so that clippy knows the functions between the tests as tests' own

mod admission;
mod aliases;
mod annotations;
mod api_server;
mod artifacts;
mod bed;
mod check;
mod clock;
mod command_line;
mod commands;
mod completeness;
mod conflict;
mod container;
mod credentials;
mod denied;
mod documentation;
mod endpoint;
mod faults;
mod gitops;
mod guard;
mod harness;
mod house;
mod image;
mod in_a_pod;
mod kinds;
mod kubeconfigs;
mod leader;
mod limits;
mod lost_answers;
mod metrics;
mod monitoring;
mod no_rollout;
mod nodes;
mod other_versions;
mod pages;
mod permissions;
mod proxies;
mod quiet;
mod reasons;
mod registry_failures;
mod resumption;
mod retries;
mod role;
mod rollout;
mod scope;
mod selection;
mod several;
mod soak;
mod strange_node;
mod told;
mod unavailable;
mod way;
mod workflows;
