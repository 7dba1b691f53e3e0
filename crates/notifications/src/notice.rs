//! What is to be reported of one workload.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use kube_autorollout_core::{Digest, labels::ImageLabels};
use ring::digest::{Context, SHA256};

use crate::event::Event;

/// Something that happened to a workload.
#[derive(Debug, Clone, PartialEq)]
pub struct Notice {
    /// What happened.
    pub event: Event,
    /// When.
    pub at: Timestamp,
    /// To which workload, or which one showed it.
    pub workload: Workload,
    /// The containers that it concerns.
    pub containers: Vec<Container>,
    /// The digests that all containers of the workload are to run, in any form that is equal for equal ones.
    pub digests: String,
    /// When the rollout that it concerns was sent, by the workload's own annotation: the same digest that is rolled out
    /// later again is another event.
    pub rollout: Option<Timestamp>,
    /// How long the rollout took.
    pub took: Option<Duration>,
    /// Why, in the words of states and Events.
    pub reason: Option<&'static str>,
    /// More about it, for people. Registries and images may have a say in it.
    pub detail: Option<String>,
    /// Of [`Event::CredentialRefused`].
    pub refused: Option<Refused>,
}

/// A workload, by its names and for ever.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workload {
    /// Where it lives.
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
    /// The image that it names, with its tag; empty if that is not known.
    pub image: String,
    /// What it ran before, if that is known.
    pub from: Option<Version>,
    /// What it runs now or is to run, if that is known.
    pub to: Option<Version>,
}

/// An image, and what it says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// Its digest.
    pub digest: Digest,
    /// Other people's words.
    pub labels: Option<Arc<ImageLabels>>,
}

/// A credential that a registry refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The host of the registry.
    pub registry: String,
    /// Which of its credentials it was, as long as this process runs. It is never part of a message.
    pub credential: u64,
}

impl Notice {
    /// Equal for the same event, also in another process: of the workload's UID, the digests, the event and the time of the
    /// rollout; for a refused credential, of the registry and the namespace.
    pub fn id(&self) -> String {
        let mut context = Context::new(&SHA256);
        let mut add = |part: &str| {
            // The length keeps "ab" + "c" apart from "a" + "bc".
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part.as_bytes());
        };
        add(self.event.as_str());
        if let Some(refused) = &self.refused {
            add(&self.workload.namespace);
            add(&refused.registry);
        } else {
            add(&self.workload.uid);
            add(&self.digests);
            let rollout = self.rollout.map(|at| at.as_millisecond().to_string());
            add(&rollout.unwrap_or_default());
        }
        hexadecimal(context.finish().as_ref().iter().take(16))
    }

    /// The images that it concerns, each once.
    pub(crate) fn images(&self) -> Vec<&str> {
        let mut images: Vec<_> = self
            .containers
            .iter()
            .map(|container| container.image.as_str())
            .filter(|image| !image.is_empty())
            .collect();
        images.sort_unstable();
        images.dedup();
        images
    }
}

/// Lower-case digits.
pub(crate) fn hexadecimal<'b>(bytes: impl IntoIterator<Item = &'b u8>) -> String {
    let digit = |value: u8| char::from_digit(value.into(), 16).unwrap_or_default();
    let digits = bytes
        .into_iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]);
    digits.collect()
}
