//! What pods run, compared with the digest behind the tag that they name.

use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp};
use kube_autorollout_core::{
    Digest,
    compare::{Question, Verdict},
    decide::Running,
    image_id::ImageId,
    platform::Platforms,
};

use super::{Freshness, manifests::Manifests};
use crate::{
    controller::context::Context,
    observe::nodes::Node,
    observe::pods::{Container, Pod},
};

/// How far the clock of a node may be off from ours.
pub(super) const CLOCK_SKEW: SignedDuration = SignedDuration::from_mins(1);

/// What is the same for all images of a container.
#[derive(Clone, Copy)]
pub(super) struct Asking<'a> {
    pub(super) namespace: &'a str,
    /// What the container was last rolled out to.
    pub(super) recorded: Option<&'a Digest>,
    /// When the list of its pods began.
    pub(super) listed: Timestamp,
    pub(super) freshness: Freshness,
    pub(super) context: &'a Context,
}

/// Compares what each pod runs with the tag; each different thing once.
pub(super) async fn compare(
    pods: &[(&Pod, &Container)],
    asking: Asking<'_>,
    manifests: &mut Manifests<'_>,
    tag: &Digest,
    since: Option<Timestamp>,
) -> Vec<Running> {
    let mut verdicts: HashMap<_, (Verdict, Option<Digest>)> = HashMap::new();
    let mut running = Vec::new();
    for (pod, container) in pods {
        let pulled = pulled(container, asking.recorded, tag, since);
        let key = (&*container.image_id, pod.node.as_deref(), pulled);
        let (verdict, digest) = if let Some(known) = verdicts.get(&key) {
            known.clone()
        } else {
            let image_id = ImageId::parse(&container.image_id);
            let verdict = match platforms(pod, &image_id, tag, asking.context).await {
                Some(platforms) => {
                    let question = Question {
                        reference: manifests.reference(),
                        tag,
                        running: &image_id,
                        pulled,
                        platforms: &platforms,
                    };
                    manifests.compare(question).await
                }
                // The pod is away with its node, and the one in its place pulls what the tag names.
                None => Verdict::NotStarted,
            };
            let known = (verdict, image_id.digest().cloned());
            verdicts.insert(key, known.clone());
            known
        };
        running.push(described(pod, container, digest, verdict));
    }
    running
}

/// A digest that the tag named when the container's image was pulled, or earlier, where one is known: that of the tag
/// itself if the container started after it was first seen, else that of the rollout by which its pod was created.
fn pulled<'d>(
    container: &Container,
    recorded: Option<&'d Digest>,
    tag: &'d Digest,
    since: Option<Timestamp>,
) -> Option<&'d Digest> {
    if !container.spec.pulls_always {
        return None;
    }
    let seen = since.and_then(|since| since.checked_add(CLOCK_SKEW).ok());
    let after = container
        .started
        .zip(seen)
        .is_some_and(|(started, seen)| started > seen);
    if after { Some(tag) } else { recorded }
}

/// Which manifests of an index count for a pod; nothing where its node is gone. Where no manifest has to be read, the node
/// need not be.
async fn platforms(
    pod: &Pod,
    image_id: &ImageId,
    tag: &Digest,
    context: &Context,
) -> Option<Platforms> {
    let configured = &context.platforms;
    let decided = image_id.digest().is_none_or(|digest| digest == tag);
    let (Platforms::Every, false, Some(node)) = (configured, decided, pod.node.as_deref()) else {
        return Some(configured.clone());
    };
    match Box::pin(context.nodes.get(node)).await {
        Node::Of(platform) => Some(Platforms::Of(vec![platform])),
        Node::OfAny => Some(Platforms::Every),
        Node::Unread => Some(Platforms::Unread),
        Node::Gone => None,
    }
}

/// A pod of which this was found.
pub(super) fn described(
    pod: &Pod,
    container: &Container,
    digest: Option<Digest>,
    verdict: Verdict,
) -> Running {
    Running {
        verdict,
        digest,
        names_tag: true,
        ready: pod.ready,
        pulls_always: container.spec.pulls_always,
        waiting: container.waiting,
    }
}

#[cfg(test)]
mod tests;
