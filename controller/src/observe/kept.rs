//! Whether registries still have what pods are pinned to, where that is not what the tag names.
//!
//! Registries delete manifests that no tag names any more, and a new pod cannot start then.

use jiff::Timestamp;
use kube_autorollout_core::{Digest, Reference, state::Reason};
use kube_autorollout_registry::CredentialChain;

use super::{
    Freshness,
    comparison::Asking,
    pods::{Container, Pod},
    tag::Tag,
    tags::Asked,
};

/// What pods are pinned to and their tag does not name.
#[derive(Default)]
pub(super) struct Kept {
    /// The digests that the registry does not have any more.
    pub(super) gone: Vec<Digest>,
    /// Under what the answers are kept.
    pub(super) asked: Vec<Asked>,
}

impl Kept {
    /// What is known of it. It is asked for once in each tick, from the one on after that in which the tag moved: most move to
    /// be rolled out at once. No decision waits for the answer.
    pub(super) fn lookup(
        pods: &[(&Pod, &Container)],
        asking: Asking<'_>,
        (reference, credentials): (&Reference, &CredentialChain),
        tag: &Tag,
    ) -> Self {
        let mut kept = Self::default();
        let Ok(named) = &tag.digest else {
            return kept;
        };
        let Freshness { tick, asked, .. } = asking.freshness;
        // A rollout that is about to begin ends it.
        let not_before = asked.map_or(tick, |_| Timestamp::MIN);
        if tag.since().is_none_or(|since| since >= tick) {
            return kept;
        }
        let mut pinned: Vec<Digest> = pods
            .iter()
            .filter_map(|(_, container)| container.spec.pinned_to()?.parse().ok())
            .collect();
        pinned.sort_unstable_by(|a, b| a.as_ref().cmp(b.as_ref()));
        pinned.dedup();
        for digest in pinned.into_iter().filter(|digest| digest != named) {
            let reference = Reference::with_digest(
                reference.registry().to_owned(),
                reference.repository().to_owned(),
                digest.to_string(),
            );
            let tags = &asking.sources.tags;
            let (answer, key) =
                tags.lookup_or_last(&reference, credentials, not_before, asking.waiter);
            let failure = answer
                .and_then(|answer| answer.digest.as_ref().err().map(|failure| failure.reason));
            if failure == Some(Reason::TagNotFound) {
                kept.gone.push(digest);
            }
            kept.asked.push(Asked {
                key,
                begun: Timestamp::MIN, // no decision rests on it
                retry: None,
            });
        }
        kept
    }
}
