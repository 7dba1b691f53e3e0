#![doc = include_str!("../README.md")]

pub mod annotations;
pub mod artifact;
pub mod backoff;
pub mod compare;
pub mod decide;
pub mod image_id;
pub mod labels;
pub mod manifest;
pub mod pins;
pub mod platform;
pub mod quoted;
pub mod record;
pub mod reference;
pub mod schedule;
pub mod short;
pub mod state;

mod spread;

pub use oci_spec::{distribution::Reference, image::Digest};
