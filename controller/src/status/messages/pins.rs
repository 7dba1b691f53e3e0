//! Messages about pins.

use kube_autorollout_core::short;

use super::{Warning, recorder};
use crate::{observe::observation::Observation, status::warnings::Topic};

/// The effect of a rollback, and how to end it.
pub(super) const ROLLED_BACK: &str = "a rollout to the image behind the tag was undone; it stays undone until another image \
     is pushed, or the annotation kube-autorollout/hold is \"false\"";

/// The warnings about the pins of a workload.
pub(super) fn warnings(observation: &Observation) -> impl Iterator<Item = Warning> {
    let containers = observation.observed.containers.iter();
    let unpinned = containers.filter(|container| container.pinned == Some(false));
    let unpinned = unpinned.map(|container| not_pinned(&container.name, observation));
    let gone = observation.gone.iter().map(|(container, digest)| Warning {
        topic: Topic::PinnedDigestGone(container.clone(), digest.to_string()),
        event: Some(recorder::Reason::PinnedDigestGone),
        note: format!(
            "container {container}: PinnedDigestGone: the registry no longer has {}, to which the pods are pinned, so new pods \
             cannot pull it. Keep untagged images longer, or let the tag be rolled out",
            short::digest(digest)
        ),
    });
    unpinned.chain(gone)
}

fn not_pinned(container: &str, observation: &Observation) -> Warning {
    let pods = observation.pods.current.iter();
    let mut specs = pods.flat_map(|pod| pod.containers.iter().map(move |found| (pod, &found.spec)));
    let unpinned = specs.find(|(_, spec)| *spec.name == *container && !spec.pinned);
    let image = unpinned.map_or_else(String::new, |(pod, spec)| {
        format!(": pod {} runs {}", pod.name, spec.image)
    });
    Warning {
        topic: Topic::NotPinned(container.to_owned()),
        event: Some(recorder::Reason::NotPinned),
        note: format!(
            "container {container}: NotPinned{image} instead of the digest in kube-autorollout/pins. Check that the admission \
             policy for pins is installed and in force for the namespace, and that no other policy changes the image"
        ),
    }
}
