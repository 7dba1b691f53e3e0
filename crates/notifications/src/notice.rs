//! Notices: the events of single workloads.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use kube_autorollout_core::{Digest, labels::ImageLabels};
use ring::digest::{Context, SHA256};

use crate::event::Event;

/// An event of a workload, with its details.
#[derive(Debug, Clone, PartialEq)]
pub struct Notice {
    /// The event.
    pub event: Event,
    /// The time of the event.
    pub at: Timestamp,
    /// The workload that it concerns, or where it was observed.
    pub workload: Workload,
    /// The containers that it concerns.
    pub containers: Vec<Container>,
    /// The wanted digests of all containers of the workload, in any canonical form.
    pub digests: String,
    /// The time of the rollout, from the workload's annotation: a later rollout of the same digest is another event.
    pub rollout: Option<Timestamp>,
    /// The duration of the rollout.
    pub took: Option<Duration>,
    /// The reason, as in the status and in Events.
    pub reason: Option<&'static str>,
    /// Details for people. They may contain text from registries and images.
    pub detail: Option<String>,
    /// The credential of [`Event::CredentialRefused`].
    pub refused: Option<Refused>,
}

/// A workload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workload {
    /// Its namespace.
    pub namespace: String,
    /// `Deployment`, `StatefulSet` or `DaemonSet`.
    pub kind: &'static str,
    /// Its name.
    pub name: String,
    /// Its UID.
    pub uid: String,
}

/// A container of the workload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Container {
    /// Its name.
    pub name: String,
    /// Its image with the tag, empty if unknown.
    pub image: String,
    /// The image that it ran before, if known.
    pub from: Option<Version>,
    /// The image that it runs now or should run, if known.
    pub to: Option<Version>,
}

/// An image and its labels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// Its digest.
    pub digest: Digest,
    /// Its labels, which are untrusted.
    pub labels: Option<Arc<ImageLabels>>,
}

/// A credential that a registry rejected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The host of the registry.
    pub registry: String,
    /// Identifies the credential within this process. It is never part of a message.
    pub credential: u64,
}

impl Notice {
    /// A hash that is equal for the same event, also in another process: of the workload's UID, the digests, the event and the
    /// time of the rollout; for a rejected credential, of the registry, the namespace and the day, because credentials of one
    /// registry are rejected again after months.
    pub fn id(&self) -> String {
        let mut context = Context::new(&SHA256);
        let mut add = |part: &str| {
            // The length distinguishes "ab" + "c" from "a" + "bc".
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part.as_bytes());
        };
        add(self.event.as_str());
        if let Some(refused) = &self.refused {
            add(&self.workload.namespace);
            add(&refused.registry);
            add(&self.at.strftime("%F").to_string());
        } else {
            add(&self.workload.uid);
            add(&self.digests);
            let rollout = self.rollout.map(|at| at.as_millisecond().to_string());
            add(&rollout.unwrap_or_default());
        }
        hexadecimal(context.finish().as_ref().iter().take(16))
    }

    /// What it concerns in all workloads alike: the images or, for a rejected credential, the registry.
    pub(crate) fn subject(&self) -> String {
        match &self.refused {
            Some(refused) => refused.registry.clone(),
            None => self.images().join(" "),
        }
    }

    /// The distinct images of its containers.
    pub(crate) fn images(&self) -> Vec<&str> {
        let images = self
            .containers
            .iter()
            .map(|container| container.image.as_str());
        distinct(images.filter(|image| !image.is_empty()))
    }
}

/// The distinct texts, sorted.
pub(crate) fn distinct<'t>(texts: impl Iterator<Item = &'t str>) -> Vec<&'t str> {
    let mut texts: Vec<_> = texts.collect();
    texts.sort_unstable();
    texts.dedup();
    texts
}

/// Encodes bytes as lower-case hexadecimal digits.
pub(crate) fn hexadecimal<'b>(bytes: impl IntoIterator<Item = &'b u8>) -> String {
    let digit = |value: u8| char::from_digit(value.into(), 16).unwrap_or_default();
    let digits = bytes
        .into_iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]);
    digits.collect()
}
