//! What the crate promises, over its public interface.
#![cfg(test)] // so that clippy knows the functions between the tests as tests' own

mod artifactory;
mod authentication;
mod cloudevents;
mod corpus;
mod generic;
mod gitea;
mod github;
mod given;
mod hostile;
mod images;
mod oidc;
mod properties;
mod rate;
mod receivers;
mod registries;
mod route;
mod secrets;
