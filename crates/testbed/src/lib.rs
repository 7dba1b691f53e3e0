//! A real Kubernetes control plane and real registries on loopback, for tests, the demo and measurements.
//!
//! Only Go has to be installed, which builds the programs once. Each server listens on a port of 127.0.0.1 of its own, and
//! none outlives the process that started it, however that ends.
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
//! | [`environment`] | the testbed that the tests of one binary share, with a namespace for each, and testbeds of single tests |
//! | [`programs`] | finding or building etcd, the Kubernetes programs and the registry |
//! | [`process`] | server processes, their folders and logs |
//! | [`control_plane`] | etcd, API server, controller-manager, scheduler; the requests to the API server |
//! | [`controller`] | the controller as a process, with the permissions of its role |
//! | [`admission`] | admission policies that change the images of pods |
//! | [`registry`] | the distribution registry: plain, with passwords, with tokens; the requests to it |
//! | [`forwarder`] | a TCP forwarder with the latency of a network, which can be cut |
//! | [`chaos`] | many workloads under faults that are drawn from a seed, and a judge of the outcome |
//! | [`fault_proxy`] | a proxy in front of a registry that refuses, delays, withholds and forges responses |
//! | [`mirror`] | a mirror that nodes pull through and whose cache may be stale |
//! | [`gateway`] | a gateway in front of the API server that withholds or changes single responses |
//! | [`hints`] | a port on which a controller receives hints, and a registry that sends them |
//! | [`receiver`] | a server that receives notifications |
//! | [`clock`] | the present time |
//! | [`cloud`] | AWS, Azure and Google Cloud as far as their registries need them |
//! | [`certificates`] | authorities and server certificates |
//! | [`prometheus`] | Prometheus, which scrapes the controller |
//! | [`installed()`] | programs of the system's packages, and skipping tests without them |
//! | [`image`] | images and indexes, made without a container engine, and pushing them |
//! | [`node`] | nodes that pull and report as the kubelet and containerd do |
//! | [`modules`] | what the modules of a crate import from each other, for tests of its architecture |
//! | [`workload`] | workloads as users write them, and waiting for their states |
//! | [`program`] | what the programs of this crate have in common |
//!
//! # What this crate does not do
//!
//! It runs no containers except those of the controller itself ([`node::Nodes::run_for_real`]) and has no network between
//! pods. It is never a dependency of what is shipped.

pub mod admission;
pub mod certificates;
pub mod chaos;
mod client;
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
