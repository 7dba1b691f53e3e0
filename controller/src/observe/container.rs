//! The check of one container of a workload: the images that its pods name, and what they run.

use kube_autorollout_core::{
    Digest,
    compare::Verdict,
    decide::{self, Exemption, RecentRollout, Running},
    pins::{self, Pins},
    state::Reason,
};

use super::{
    image::{self, Image, ImageObservation},
    lookup_context::LookupContext,
    pods::Pods,
    tags::TagRequest,
};
use crate::registry::failure::Failure;

/// The check of one container.
pub(super) struct ContainerCheck<'a> {
    pub(super) container: &'a str,
    /// The image in the template, which counts as long as there is no pod.
    pub(super) image: &'a str,
    /// The container is not excluded.
    pub(super) selected: bool,
    pub(super) remembered: Option<RecentRollout>,
    /// What the template pins its pods to, where pods are to be pinned.
    pub(super) pins: Option<&'a Pins>,
    pub(super) pods: &'a Pods,
    pub(super) context: LookupContext<'a>,
}

/// The observation of one container.
pub(super) struct ContainerObservation {
    /// The input of the decision.
    pub(super) container: decide::Container,
    /// The failures of its registries.
    pub(super) failures: Vec<Failure>,
    /// Digests that its pods are pinned to and its registry has deleted.
    pub(super) gone: Vec<Digest>,
    pub(super) requests: Vec<TagRequest>,
}

impl ContainerCheck<'_> {
    /// Observes the container; `None` while something has to be fetched.
    pub(super) fn run(&self) -> Option<ContainerObservation> {
        if !self.selected {
            return Some(self.exempt(Exemption::Excluded));
        }
        let blocking = Image::of(&self.pods.blocking, self.container);
        let mut images = Image::of(&self.pods.current, self.container);
        if images.is_empty() {
            // What blocking pods run says nothing about the current template, but the image that they name does.
            images.extend(blocking.first().map(Image::without_pods));
        }
        let Some(newest) = images.first() else {
            // Without a pod there is nothing to compare, and no pull Secrets for a request.
            if image::has_digest(self.image) {
                return Some(self.exempt(Exemption::Pinned));
            }
            return Some(self.observed(Err(Reason::NotStarted), Vec::new()));
        };
        if newest.has_digest() {
            return Some(self.exempt(Exemption::Pinned));
        }
        if images.iter().any(Image::may_start_without_pull) && self.context.recorded.is_none() {
            // A new pod may run the image that its node already has, so a moved tag would change nothing.
            let unchecked = Verdict::Unknown(Reason::PullPolicy);
            let pods = images.iter().flat_map(|image| image.all(unchecked));
            return Some(self.observed(Err(Reason::PullPolicy), pods.collect()));
        }
        // All images are looked up before one that is pending ends the check, so that they are fetched concurrently.
        let observed: Vec<_> = images
            .iter()
            .map(|image| image.observe(self.context))
            .collect();
        let mut observed: Vec<_> = observed.into_iter().collect::<Option<_>>()?;
        self.compare_with_newest(&images, &mut observed)?;
        let mut merged = self.merge(observed);
        merged.container.image_replaced = !pins::is_same_image(self.image, newest.name());
        let blocking = blocking.iter();
        let blocking = blocking.flat_map(|image| image.all(Verdict::NotStarted));
        merged.container.pods.extend(blocking.map(|pod| Running {
            pulls_always: true,
            ..pod
        }));
        Some(merged)
    }

    /// Compares stale pods of older images with the tag of the newest pods' image, if no pod proves that its digest can be
    /// pulled: a restart leads to that digest, and a registry may have resolved the tag to one that it does not have. `None`
    /// while a manifest is being read.
    fn compare_with_newest(
        &self,
        images: &[Image<'_>],
        observed: &mut [ImageObservation],
    ) -> Option<()> {
        let (Some((newest, older)), Some((resolved, others))) =
            (images.split_first(), observed.split_first_mut())
        else {
            return Some(());
        };
        let Some(tag) = resolved.uncompared_tag() else {
            return Some(());
        };
        for (image, other) in older.iter().zip(others) {
            image.compare_with_newest(newest, tag, other, self.context)?;
        }
        Some(())
    }

    /// Merges the images: the tag is that of the newest pod's image, which new pods will name as well.
    fn merge(&self, images: Vec<ImageObservation>) -> ContainerObservation {
        let mut merged = self.observed(Err(Reason::NotStarted), Vec::new());
        for (index, image) in images.into_iter().enumerate() {
            let names_tag = index == 0;
            if names_tag {
                let tag = image.tag.as_ref().ok();
                let recorded = self.context.recorded;
                merged.container.rolled_back =
                    self.pods.are_rolled_back(self.container, tag, recorded);
                merged.container.tag = image.tag;
                merged.container.since = image.since;
            }
            let pods = image.pods.into_iter();
            let pods = pods.map(|pod| Running { names_tag, ..pod });
            merged.container.pods.extend(pods);
            merged.failures.extend(image.failure);
            merged.requests.extend(image.requests);
            merged.gone.extend(image.gone);
        }
        merged
    }

    /// Whether the pods are pinned that the template pins.
    fn pinned(&self) -> Option<bool> {
        self.pins?.digest(self.container, self.image)?;
        let pods = self.pods.current.iter();
        let containers = pods.flat_map(|pod| pod.containers.iter());
        let mut containers = containers
            .filter(|container| *container.spec.name == *self.container)
            .peekable();
        containers.peek()?;
        Some(containers.all(|container| container.spec.pinned))
    }

    fn exempt(&self, exemption: Exemption) -> ContainerObservation {
        let mut observed = self.observed(Err(Reason::NotStarted), Vec::new());
        observed.container.exempt = Some(exemption);
        observed
    }

    fn observed(&self, tag: Result<Digest, Reason>, pods: Vec<Running>) -> ContainerObservation {
        ContainerObservation {
            container: decide::Container {
                pinned: self.pinned(),
                remembered: self.remembered.clone(),
                pods,
                ..decide::Container::new(self.container, self.image, tag)
            },
            failures: Vec::new(),
            gone: Vec::new(),
            requests: Vec::new(),
        }
    }
}
