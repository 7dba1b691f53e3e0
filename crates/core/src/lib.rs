//! The decisions of kube-autorollout, without any I/O.
//!
//! A controller observes a workload, asks [`decide`](decide::decide) what to do, and does it. What it asks is answered
//! here, as pure functions: the time comes in as `now`, the registry's answers come in as data, and the same arguments
//! always give the same answer.
//!
//! ```
//! use std::sync::Arc;
//!
//! use kube_autorollout_core::{
//!     compare::{Answer, Step, Verdict, compare},
//!     image_id::ImageId,
//!     manifest::Manifest,
//!     platform::Platforms,
//!     state::Reason,
//! };
//!
//! // The tag has moved to another index, but the image in it is the one that runs.
//! let digest = |hex: &str| format!("sha256:{}", hex.repeat(64));
//! let (tag, image) = (digest("a").parse()?, digest("c"));
//! let running = ImageId::parse(&format!("ghcr.io/team/web@{}", digest("b")));
//!
//! let media_type = "application/vnd.oci.image.index.v1+json";
//! let manifest = "application/vnd.oci.image.manifest.v1+json";
//! let index = format!(r#"{{"manifests": [{{"mediaType": "{manifest}", "digest": "{image}"}}]}}"#);
//! let index = Arc::new(Manifest::parse(media_type, index.as_bytes())?);
//!
//! let step = compare(&tag, &running, &Platforms::Every, &|_| None);
//! assert_eq!(step, Step::Needs(vec![tag.clone()])); // fetch it, then ask again
//!
//! let step = compare(&tag, &running, &Platforms::Every, &|_| Some(Answer::Manifest(index.clone())));
//! assert_eq!(step, Step::Done(Verdict::Current(Reason::IndexChangedOnly)));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Map
//!
//! | module | what it knows |
//! | --- | --- |
//! | [`reference`](mod@reference), [`image_id`] | how images are named: by a pod's `image`, and by a node's `imageID` |
//! | [`platform`], [`manifest`] | what an index offers, and what of it counts |
//! | [`compare`] | whether what runs is what the tag means |
//! | [`annotations`] | what the owner of a workload asks for |
//! | [`record`] | what was rolled out before |
//! | [`decide`] | what to do about a workload, and the [`state`] to report |
//! | [`schedule`], [`backoff`] | when to look again |
//! | [`found`] | how errors show what a user wrote |
//!
//! # What this crate does not do
//!
//! It neither reads nor writes anything: no network, no file, no clock, no log. It knows no Kubernetes types, so that
//! each kind of workload is described to it in the same words.

pub mod annotations;
pub mod backoff;
pub mod compare;
pub mod decide;
pub mod found;
pub mod image_id;
pub mod manifest;
pub mod platform;
pub mod record;
pub mod reference;
pub mod schedule;
pub mod state;

mod spread;

pub use oci_spec::{distribution::Reference, image::Digest};
