//! Checks that registries still have the digests that pods are pinned to, where their tag names another one.
//!
//! Registries delete manifests without a tag, and then a new pod cannot start.

use jiff::Timestamp;
use kube_autorollout_core::{Digest, Reference, state::Reason};
use kube_autorollout_registry::CredentialChain;

use super::{
    Freshness,
    lookup_context::LookupContext,
    pods::{Container, Pod},
    tag::Tag,
    tags::TagRequest,
};

/// The digests that pods are pinned to and the registry has deleted, by the last known responses.
///
/// A digest is requested once in each tick, but not in the tick in which the tag moved, as most moves are rolled out at once.
/// No decision waits for the response.
pub(super) fn deleted_pins(
    pods: &[(&Pod, &Container)],
    context: LookupContext<'_>,
    (reference, credentials): (&Reference, &CredentialChain),
    tag: &Tag,
    requests: &mut Vec<TagRequest>,
) -> Vec<Digest> {
    let Freshness {
        tick,
        after_request,
        ..
    } = context.freshness;
    let Ok(named) = &tag.digest else {
        return Vec::new();
    };
    if tag.since().is_none_or(|since| since >= tick) {
        return Vec::new();
    }
    // A rollout that is about to start replaces the pins.
    let not_before = after_request.map_or(tick, |_| Timestamp::MIN);
    let pinned = pods.iter();
    let pinned = pinned.filter_map(|(_, container)| container.spec.pinned_to()?.parse().ok());
    let mut pinned: Vec<Digest> = pinned.filter(|digest| digest != named).collect();
    pinned.sort_unstable_by(|a, b| a.as_ref().cmp(b.as_ref()));
    pinned.dedup();
    pinned.retain(|digest| {
        let reference = reference.clone_with_digest(digest.to_string());
        let tags = &context.sources.tags;
        let (cached, key) = tags.lookup(&reference, credentials, not_before, context.waiter);
        let cached = cached.or_else(|| tags.last(&key));
        requests.push(TagRequest {
            key,
            started_at: Timestamp::MIN, // no decision depends on it
            retry: None,
        });
        let failure =
            cached.and_then(|cached| cached.digest.as_ref().err().map(|failure| failure.reason));
        failure == Some(Reason::TagNotFound)
    });
    pinned
}
