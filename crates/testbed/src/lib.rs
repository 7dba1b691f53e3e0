//! A real Kubernetes control plane and real registries on loopback, for tests, the demo and measurements.
//!
//! Nothing has to be installed but Go, which builds the programs once; each server listens on 127.0.0.1 on a port of its
//! own, and none outlives the process that started it, however that ends.
//!
//! ```no_run
//! use kube_autorollout_testbed::{image::{Image, Pusher}, shared, workload::Deployment};
//!
//! # async fn test() -> Result<(), Box<dyn std::error::Error>> {
//! let testbed = shared().await;
//! let namespace = testbed.namespace("web").await?;
//! let host = testbed.registry().host();
//! let marker = testbed.control_plane().audit().mark()?;
//! # let _ = (Image::new("v1"), Pusher::new(host)?, marker);
//! Deployment::named("web").container("app", &format!("{host}/web:stable")).labelled();
//! # Ok(())
//! # }
//! ```
//!
//! # Modules
//!
//! | module | what |
//! | --- | --- |
//! | [`environment`] | the testbed that the tests of one binary share, a namespace for each, and a testbed of one's own |
//! | [`programs`] | finding or building etcd, the Kubernetes programs and the registry |
//! | [`process`] | server processes, their folders and logs |
//! | [`control_plane`] | etcd, API server, controller-manager, scheduler; what was asked of the API server |
//! | [`controller`] | the controller as a process, with the rights of its role |
//! | [`admission`] | admission policies that change the images of pods |
//! | [`registry`] | the distribution registry: plain, with passwords, with tokens; what was asked of it |
//! | [`forwarder`] | a way to a server that takes as long as one through a network, and can be cut |
//! | [`chaos`] | many workloads through faults that a seed draws, and a judge of what became of them |
//! | [`fault_proxy`] | a proxy before a registry that refuses, delays, withholds and forges answers on request |
//! | [`mirror`] | a mirror that nodes pull through and that may be behind |
//! | [`gateway`] | a gateway before the API server that withholds or changes single answers |
//! | [`clock`] | the present |
//! | [`cloud`] | AWS, Azure and Google Cloud as far as their registries need them |
//! | [`certificates`] | authorities and server certificates |
//! | [`prometheus`] | Prometheus, which scrapes the controller |
//! | [`installed()`] | programs of the system's packages, and skipping tests without them |
//! | [`image`] | images and indexes, made without a container engine, and pushing them |
//! | [`node`] | nodes that copy the kubelet and containerd: what they pull, what they report |
//! | [`modules`] | what the modules of a crate import from each other, for tests of its architecture |
//! | [`workload`] | workloads as users write them, and waiting for what becomes of them |
//!
//! # What this crate does not do
//!
//! It runs no containers but those of the controller itself ([`node::Nodes::run_for_real`]) and has no network between pods, and it is never a dependency of what is shipped.

pub mod admission;
mod ask;
pub mod certificates;
pub mod chaos;
pub mod clock;
pub mod cloud;
pub mod control_plane;
pub mod controller;
pub mod environment;
pub mod fault_proxy;
pub mod forwarder;
pub mod gateway;
pub mod hints;
pub mod image;
mod installed;
pub mod mirror;
pub mod modules;
pub mod node;
pub mod process;
pub mod program;
pub mod programs;
pub mod prometheus;
pub mod receiver;
pub mod registry;
mod relay;
mod server;
mod sources;
pub mod workload;

pub use environment::{Bed, Namespace, Testbed, alone, alone_with, shared};
pub use installed::installed;
