//! The containers that run, as the nodes see them.

use jiff::Timestamp;
use oci_spec::image::Digest;

/// A container whose process runs, as its node sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunningContainer {
    /// The namespace of its pod.
    pub namespace: String,
    /// The name of its pod.
    pub pod: String,
    /// Its name in the pod.
    pub container: String,
    /// The node it runs on.
    pub node: String,
    /// Its image, as the pod names it.
    pub image: String,
    /// The image that the annotation [`PINS`](crate::admission::PINS) of its pod names for it.
    pub pin: Option<String>,
    /// What the running image was built from: the argument of [`Image::new`](crate::image::Image::new).
    pub marker: String,
    /// The digest of the running image's config, which is its identity.
    pub config_digest: Digest,
    /// What the reference resolved to at the pull before this start; nothing if the image was on the node already.
    pub pulled_digest: Option<Digest>,
    /// The `imageID` that its status shows, or is about to.
    pub image_id: String,
    /// Whether it is ready.
    pub ready: bool,
}

/// A change of what runs in a pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ran {
    /// Since when.
    pub at: Timestamp,
    /// The UID of the pod.
    pub uid: String,
    /// The containers that run since; none once the pod has ended.
    pub containers: Vec<RunningContainer>,
}
