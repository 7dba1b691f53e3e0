//! One container of a workload: the images that its pods name, and what they run.

use kube_autorollout_core::{
    Digest,
    compare::Verdict,
    decide::{self, Exempt, Remembered, Running},
    pins::{self, Pins},
    state::Reason,
};

use super::{
    comparison::Asking,
    image::{self, Image},
    tags::Asked,
};
use crate::{observe::pods::Pods, registry::failure::Failure};

/// The check of a container.
pub(super) struct ContainerCheck<'a> {
    pub(super) container: &'a str,
    /// The image as the template has it, which counts as long as there is no pod.
    pub(super) image: &'a str,
    /// The user wants it checked.
    pub(super) selected: bool,
    pub(super) remembered: Option<Remembered>,
    /// What the template pins its pods to, where they are to be pinned.
    pub(super) pins: Option<&'a Pins>,
    pub(super) pods: &'a Pods,
    pub(super) asking: Asking<'a>,
}

/// What was seen of it.
pub(super) struct Seen {
    observed: decide::Container,
    failures: Vec<Failure>,
    /// What its pods are pinned to and its registry does not have any more.
    gone: Vec<Digest>,
    /// The tags that were asked for.
    tags: Vec<Asked>,
}

/// What was learnt besides what is decided upon.
pub(super) struct Learnt {
    /// The container whose registries did not answer, and why not.
    pub(super) failures: Vec<(String, Failure)>,
    /// The same of what its pods are pinned to and its registry does not have any more.
    pub(super) gone: Vec<(String, Digest)>,
    /// The tags that were asked for.
    pub(super) tags: Vec<Asked>,
}

impl Seen {
    /// What is decided upon, and the rest.
    pub(super) fn parted(self) -> (decide::Container, Learnt) {
        let name = &self.observed.name;
        let failures = self.failures.into_iter();
        let gone = self.gone.into_iter();
        let learnt = Learnt {
            failures: failures.map(|failure| (name.clone(), failure)).collect(),
            gone: gone.map(|digest| (name.clone(), digest)).collect(),
            tags: self.tags,
        };
        (self.observed, learnt)
    }
}

impl ContainerCheck<'_> {
    /// What is seen now; nothing while something has to be fetched.
    pub(super) fn run(self) -> Option<Seen> {
        if !self.selected {
            return Some(self.exempt(Exempt::Excluded));
        }
        let blocking = Image::of(&self.pods.blocking, self.container);
        let mut images = Image::of(&self.pods.current, self.container);
        if images.is_empty() {
            // What runs in them says nothing about the current template, but what they name does.
            images.extend(blocking.first().map(Image::without_pods));
        }
        let Some(newest) = images.first() else {
            // There is nothing to compare, and nobody to say with which Secrets a registry is asked.
            if image::is_pinned(self.image) {
                return Some(self.exempt(Exempt::Pinned));
            }
            return Some(self.seen(Err(Reason::NotStarted), Vec::new()));
        };
        if newest.is_pinned() {
            return Some(self.exempt(Exempt::Pinned));
        }
        if images.iter().any(Image::need_not_be_pulled) && self.asking.recorded.is_none() {
            // A new pod might run what its node has, so the registry's answer would change nothing.
            let unchecked = Verdict::Unknown(Reason::PullPolicy);
            let pods = images.iter().flat_map(|image| image.all(unchecked));
            return Some(self.seen(Err(Reason::PullPolicy), pods.collect()));
        }
        // All are asked for at once.
        let all: Vec<_> = images
            .iter()
            .map(|image| image.lookup(self.asking))
            .collect();
        let mut all: Vec<_> = all.into_iter().collect::<Option<_>>()?;
        self.verify(&images, &mut all)?;
        let mut seen = self.learnt(all);
        seen.observed.filled_in = !pins::is_same(self.image, newest.name());
        let waiting = blocking.iter();
        let waiting = waiting.flat_map(|image| image.all(Verdict::NotStarted));
        seen.observed.pods.extend(waiting.map(|pod| Running {
            pulls_always: true,
            ..pod
        }));
        Some(seen)
    }

    /// Compares stale pods of other images with what the newest pods name, where no pod shows that it can be had: a restart
    /// brings that, and a registry may have named a digest that it does not have. Nothing while a manifest is being read.
    fn verify(&self, images: &[Image<'_>], learnt: &mut [image::Learnt]) -> Option<()> {
        let (Some((newest, older)), Some((known, others))) =
            (images.split_first(), learnt.split_first_mut())
        else {
            return Some(());
        };
        let Some(tag) = known.unconfirmed() else {
            return Some(());
        };
        for (image, other) in older.iter().zip(others) {
            image.confirm(newest, tag, other, self.asking)?;
        }
        Some(())
    }

    /// What is decided upon: the tag is that of the newest pod's image, which new pods will name as well.
    fn learnt(&self, images: Vec<image::Learnt>) -> Seen {
        let mut seen = self.seen(Err(Reason::NotStarted), Vec::new());
        for (place, image) in images.into_iter().enumerate() {
            let names_tag = place == 0;
            if names_tag {
                let rolled_back = |tag| self.pods.are_rolled_back(self.container, tag);
                seen.observed.rolled_back = image.tag.as_ref().is_ok_and(rolled_back);
                seen.observed.tag = image.tag;
                seen.observed.since = image.since;
            }
            let pods = image.pods.into_iter();
            let pods = pods.map(|pod| Running { names_tag, ..pod });
            seen.observed.pods.extend(pods);
            seen.failures.extend(image.failure);
            seen.tags.extend(image.asked);
            seen.tags.extend(image.kept.asked);
            seen.gone.extend(image.kept.gone);
        }
        seen
    }

    /// Whether the pods are pinned that the template pins.
    fn pinned(&self) -> Option<bool> {
        self.pins?.digest(self.container, self.image)?;
        let pods = self.pods.current.iter();
        let containers = pods.flat_map(|pod| pod.containers.iter());
        let mut containers = containers
            .filter(|found| *found.spec.name == *self.container)
            .peekable();
        containers.peek()?;
        Some(containers.all(|found| found.spec.pinned))
    }

    fn exempt(&self, exempt: Exempt) -> Seen {
        let mut seen = self.seen(Err(Reason::NotStarted), Vec::new());
        seen.observed.exempt = Some(exempt);
        seen
    }

    fn seen(&self, tag: Result<Digest, Reason>, pods: Vec<Running>) -> Seen {
        Seen {
            observed: decide::Container {
                name: self.container.to_owned(),
                image: self.image.to_owned(),
                exempt: None,
                tag,
                rolled_back: false,
                filled_in: false,
                pinned: self.pinned(),
                since: None,
                remembered: self.remembered.clone(),
                pods,
            },
            failures: Vec::new(),
            gone: Vec::new(),
            tags: Vec::new(),
        }
    }
}
