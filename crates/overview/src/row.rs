//! The rows of an overview.

use std::borrow::Cow;

use jiff::Timestamp;
use kube_autorollout_core::{
    labels::ImageLabels,
    state::{Reason, State},
};
use serde::{Deserialize, Serialize};

use crate::text::truncated;

/// The status of a workload.
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
    /// The reason of its state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "Option<crate::tests::schema::Reasons>"))]
    pub reason: Option<Reason>,
    /// The container that determined the state and the reason, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<Cow<'a, str>>,
    /// Whether it needs human intervention.
    pub needs_person: bool,
    /// Since when it has had this state and reason, as observed by this leader.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "Option<crate::tests::schema::Instant>"))]
    pub since: Option<Timestamp>,
    /// The time of the last check.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "Option<crate::tests::schema::Instant>"))]
    pub last_check: Option<Timestamp>,
    /// The time of the next check.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "Option<crate::tests::schema::Instant>"))]
    pub next_check: Option<Timestamp>,
    /// The time of the last rollout by the controller.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "Option<crate::tests::schema::Instant>"))]
    pub last_rollout: Option<Timestamp>,
    /// When a delay ends or a rollout is retried, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "Option<crate::tests::schema::Instant>"))]
    pub next_attempt: Option<Timestamp>,
    /// Whether its pods are pinned to the digests that were rolled out; omitted if pins are disabled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pinned: Option<bool>,
    /// The checked containers of its pod template; init containers only if an annotation lists them.
    pub containers: Vec<Container<'a>>,
}

/// The images that a container runs, and that of its tag.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Container<'a> {
    /// Its name.
    #[serde(borrow)]
    pub name: Cow<'a, str>,
    /// The image reference of its newest pod, or of the pod template if there is no pod. At most 512 characters.
    pub image: Cow<'a, str>,
    /// The images that its pods ran when they were last read: one entry for each image, that of the newest pod first. Empty if
    /// nothing runs, or the pods have not been read yet.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub running: Vec<Image<'a>>,
    /// The image of its tag, if the registry has responded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<Image<'a>>,
}

/// An image and its labels.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Image<'a> {
    /// Its digest, as reported by the registry or the container runtime; omitted if the runtime reports none.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<Cow<'a, str>>,
    /// The number of pods that run it; omitted for the image of a tag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pods: Option<u32>,
    /// Its label `org.opencontainers.image.version`, if known: labels are read when an image is rolled out.
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
    /// A row with a state and nothing else.
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
    /// A container with a name and an image. The image is truncated, because the API server accepts any text.
    pub fn new(name: impl Into<Cow<'a, str>>, image: &'a str) -> Self {
        Self {
            name: name.into(),
            image: truncated(image),
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
    /// An image with a digest and nothing else.
    pub fn of(digest: impl Into<Cow<'a, str>>) -> Self {
        Self {
            digest: Some(digest.into()),
            ..Self::default()
        }
    }

    /// Adds labels.
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
