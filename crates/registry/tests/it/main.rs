//! The client against a scripted server, for responses that no honest registry sends, and against real registries.
#![cfg(test)] // so that clippy knows the functions between the tests as tests' own

mod answers;
mod architecture;
mod artifactory;
mod authentication;
mod blobs;
mod brownouts;
mod credentials;
mod distribution;
mod endpoints;
mod errors;
mod hostile;
mod limits;
mod manifests;
mod providers;
mod proxies;
mod public_interface;
mod quarantine;
mod quirks;
mod realms;
mod redirects;
mod script;
mod secrets;
mod transport;
mod verdicts;
