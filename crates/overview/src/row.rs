//! What is shown of one workload.

use std::borrow::Cow;

use jiff::Timestamp;
use kube_autorollout_core::{
    labels::ImageLabels,
    state::{Reason, State},
};
use serde::{Deserialize, Serialize};

use crate::text::shortened;

/// Where a workload stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Row<'a> {
    /// Its namespace.
    #[serde(borrow)]
    pub namespace: Cow<'a, str>,
    /// Its kind: Deployment, StatefulSet or DaemonSet.
    pub kind: Cow<'a, str>,
    /// Its name.
    pub name: Cow<'a, str>,
    /// Its state at the last check; Unknown before the first.
    #[cfg_attr(test, schemars(with = "crate::tests::schema::States"))]
    pub state: State,
    /// Why it is in this state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "Option<crate::tests::schema::Reasons>"))]
    pub reason: Option<Reason>,
    /// The container that the state and the reason are of, if they are of one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<Cow<'a, str>>,
    /// Whether it does not go on without a person.
    pub needs_person: bool,
    /// Since when it has been in this state for this reason, as far as this leader knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "Option<crate::tests::schema::Instant>"))]
    pub since: Option<Timestamp>,
    /// When it was checked last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "Option<crate::tests::schema::Instant>"))]
    pub last_check: Option<Timestamp>,
    /// When it is checked next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "Option<crate::tests::schema::Instant>"))]
    pub next_check: Option<Timestamp>,
    /// When it was rolled out last by the controller.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "Option<crate::tests::schema::Instant>"))]
    pub last_rollout: Option<Timestamp>,
    /// When what holds a rollout back ends, or a rollout is repeated, if that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "Option<crate::tests::schema::Instant>"))]
    pub next_attempt: Option<Timestamp>,
    /// Whether its pods name the digests that were rolled out; left out where pins are not enabled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pinned: Option<bool>,
    /// The containers of its pod template that are checked; init containers only if an annotation names them.
    pub containers: Vec<Container<'a>>,
}

/// What a container runs, and what its tag names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Container<'a> {
    /// Its name.
    #[serde(borrow)]
    pub name: Cow<'a, str>,
    /// The image that its newest pod names, or that the pod template names where there is no pod. At most 512 characters.
    pub image: Cow<'a, str>,
    /// What its pods run, as of the last time that they were read: one entry for each image, that of the newest pod first.
    /// Empty where nothing runs, or the pods were not read yet.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub running: Vec<Image<'a>>,
    /// What its tag names, if the registry has answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<Image<'a>>,
}

/// An image, and what its authors say of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Image<'a> {
    /// Its digest, as the registry or the container runtime reports it; left out where a runtime reports none.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<Cow<'a, str>>,
    /// How many pods run it; left out of what a tag names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pods: Option<u32>,
    /// Its label `org.opencontainers.image.version`, if it is known: labels are read when an image is rolled out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<Cow<'a, str>>,
    /// Its label `org.opencontainers.image.revision`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<Cow<'a, str>>,
    /// Its label `org.opencontainers.image.source`, if it is an https URL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Cow<'a, str>>,
    /// Its label `org.opencontainers.image.created`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<Cow<'a, str>>,
}

impl<'a> Row<'a> {
    /// A workload in a state, of which nothing else is known.
    pub fn new(
        namespace: impl Into<Cow<'a, str>>,
        kind: impl Into<Cow<'a, str>>,
        name: impl Into<Cow<'a, str>>,
        state: State,
    ) -> Self {
        Self {
            namespace: namespace.into(),
            kind: kind.into(),
            name: name.into(),
            state,
            reason: None,
            container: None,
            needs_person: false,
            since: None,
            last_check: None,
            next_check: None,
            last_rollout: None,
            next_attempt: None,
            pinned: None,
            containers: Vec::new(),
        }
    }
}

impl<'a> Container<'a> {
    /// A container of which only its name and image are known. An image is shortened: the API server takes any text for one.
    pub fn new(name: impl Into<Cow<'a, str>>, image: &'a str) -> Self {
        Self {
            name: name.into(),
            image: shortened(image),
            running: Vec::new(),
            tag: None,
        }
    }

    /// Counts a pod that runs this digest.
    pub fn runs(&mut self, digest: Option<Cow<'a, str>>) {
        let known = self.running.iter_mut().find(|image| image.digest == digest);
        if let Some(Image {
            pods: Some(pods), ..
        }) = known
        {
            *pods = pods.saturating_add(1);
        } else {
            self.running.push(Image {
                digest,
                pods: Some(1),
                ..Image::default()
            });
        }
    }
}

impl<'a> Image<'a> {
    /// The image of a digest, of which nothing else is known.
    pub fn of(digest: impl Into<Cow<'a, str>>) -> Self {
        Self {
            digest: Some(digest.into()),
            ..Self::default()
        }
    }

    /// The same, with what its authors say of it.
    #[must_use]
    pub fn labelled(self, labels: &ImageLabels) -> Self {
        let label = |label: &Option<Box<str>>| {
            let text = label.as_deref()?;
            Some(Cow::Owned(text.to_owned()))
        };
        Self {
            version: label(&labels.version),
            revision: label(&labels.revision),
            source: label(&labels.source),
            created: label(&labels.created),
            ..self
        }
    }
}
