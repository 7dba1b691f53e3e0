//! The inputs of the fuzz target for Docker configurations, with past crashes.
#![cfg(test)] // so that clippy knows the functions between the tests as tests' own

#[path = "../../../fuzz/corpus.rs"]
mod corpus;
#[path = "../../../fuzz/properties/docker_config.rs"]
mod docker_config;

#[test]
fn docker_configurations_hold_their_properties() {
    corpus::replay("docker_config", docker_config::check);
}
