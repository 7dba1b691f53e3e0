//! The pods of a workload's current template: read when there is reason to, kept while there is none.

mod answer;
mod kept;
mod list;
mod object;
mod reader;
mod shared;
mod view;
mod waiting;

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use kube::Client;
use kube_autorollout_core::{
    Digest, Reference,
    decide::Waiting,
    reference::{self, InvalidReference},
};

use self::{answer::PastTemplates, kept::Found, reader::Reader, waiting::Wanted};
pub(crate) use self::{answer::Since, kept::REFRESH};
use crate::{
    lookup::{Fetches, Waiter},
    workload::{Undone, Workload, identity::Identity},
};

/// The pods of a workload's current template, as of one list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Pods {
    /// When the list began: what happened later is not in it.
    pub(crate) begun: Timestamp,
    /// The workload's history already holds its current template.
    pub(crate) template_found: bool,
    /// Neither terminating nor finished, the newest first.
    pub(crate) current: Box<[Arc<Pod>]>,
    /// Whether one of an older template is left that is not being deleted; nothing where those have another owner.
    pub(crate) older: Option<bool>,
    /// When one of those of the current template was created or became ready last.
    pub(crate) progressed: Option<Timestamp>,
    /// Of an earlier template, and not starting: as long as one is there, it is not replaced, and no other is. The newest
    /// first.
    pub(crate) blocking: Box<[Arc<Pod>]>,
    /// The rollouts that somebody went back from; nothing as long as the templates of the history were not read for that.
    pub(crate) undone: Option<Arc<[Undone]>>,
}

impl Pods {
    /// Whether somebody went back from a rollout of the container to this digest.
    pub(crate) fn are_rolled_back(&self, container: &str, digest: &Digest) -> bool {
        let mut undone = self.undone.iter().flat_map(|undone| undone.iter());
        undone.any(|(name, undone)| **name == *container && undone == digest)
    }
}

/// What matters of one pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pod {
    /// For the people who read our evidence.
    pub(crate) name: Box<str>,
    /// Where it is bound to.
    pub(crate) node: Option<Arc<str>>,
    /// Its condition `Ready`.
    pub(crate) ready: bool,
    /// The Secrets that its images are pulled with: the effective list, which the `ServiceAccount` may have given.
    pub(crate) pull_secrets: Arc<[String]>,
    /// Of both lists.
    pub(crate) containers: Box<[Container]>,
}

impl Pod {
    /// Whether a container of it waits for a reason that does not pass by itself.
    fn is_stuck(&self) -> bool {
        let mut containers = self.containers.iter();
        containers.any(|container| container.waiting.is_some())
    }

    /// Whether a container of it waits, or has not started on its node.
    fn is_unsettled(&self) -> bool {
        let mut containers = self.containers.iter();
        let starts = containers.any(|container| container.image_id.is_empty());
        self.is_stuck() || self.node.is_some() && starts
    }
}

/// What matters of one container of a pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Container {
    /// What its pod asks for.
    pub(crate) spec: Arc<ContainerSpec>,
    /// As the runtime reports it, in one of many formats; empty before the first start.
    pub(crate) image_id: Arc<str>,
    /// Why it waits, if for a reason that does not pass by itself.
    pub(crate) waiting: Option<Waiting>,
    /// When it last started, by its node's clock.
    pub(crate) started: Option<Timestamp>,
}

/// What a pod asks for of one container, after admission: the kubelet reads nothing else.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct ContainerSpec {
    /// The name that joins it with the template.
    pub(crate) name: Box<str>,
    /// The image, which may be another than the template's.
    pub(crate) image: Box<str>,
    /// Its pull policy is `Always`.
    pub(crate) pulls_always: bool,
    /// The image has the digest that the pod's pin for the container names.
    pub(crate) pinned: bool,
    /// The image whose tag it follows, parsed once for all checks of all pods.
    pub(crate) reference: Result<Reference, InvalidReference>,
}

impl ContainerSpec {
    /// What a pod asks for with these fields.
    pub(crate) fn new(name: Box<str>, image: Box<str>, pulls_always: bool, pinned: bool) -> Self {
        Self {
            reference: reference::parse(followed(&image, pinned)),
            name,
            image,
            pulls_always,
            pinned,
        }
    }

    /// The image whose tag it follows: without the digest where that is our pin.
    pub(crate) fn followed(&self) -> &str {
        followed(&self.image, self.pinned)
    }

    /// The digest that our pin names.
    pub(crate) fn pinned_to(&self) -> Option<&str> {
        let (_, digest) = self.image.split_once('@').filter(|_| self.pinned)?;
        Some(digest)
    }

    /// Whether a new pod pulls what was rolled out.
    pub(crate) const fn pulls(&self) -> bool {
        self.pulls_always || self.pinned
    }
}

fn followed(image: &str, pinned: bool) -> &str {
    let pinned = image.split_once('@').filter(|_| pinned);
    pinned.map_or(image, |(followed, _)| followed)
}

/// Why the pods of a workload could not be read.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum Error {
    /// The API server refused a list.
    #[error("cannot list {plural} in namespace {namespace}")]
    List {
        /// What was to be listed.
        plural: &'static str,
        /// Where.
        namespace: String,
        /// The API server's answer, shared by all who waited for it.
        #[source]
        source: Arc<kube::Error>,
    },
    /// The API server took longer than a list may take.
    #[error("listing the pods in namespace {namespace} timed out")]
    Timeout {
        /// Where.
        namespace: String,
    },
    /// A pod or a past template is not what this version knows as one.
    #[error("an object of its pods cannot be read by this version of the controller: {0}")]
    Unreadable(Arc<str>),
    /// A defect of ours.
    #[error("reading the pods panicked")]
    Panicked,
    /// The workload's pod selector has an operator that does not exist.
    #[error("the selector of the pods cannot be used: {0}")]
    Selector(String),
}

impl Error {
    /// Whether the API server does not let us list it, or does not know it.
    fn is_refused(&self) -> bool {
        let Self::List { source, .. } = self else {
            return false;
        };
        matches!(&**source, kube::Error::Api(status) if status.is_forbidden() || status.is_not_found())
    }

    fn list(plural: &'static str, namespace: &str, source: kube::Error) -> Self {
        Self::List {
            plural,
            namespace: namespace.to_owned(),
            source: Arc::new(source),
        }
    }
}

/// Reads pods, and keeps what it read of each selected workload.
pub(crate) struct Store {
    reader: Arc<Reader>,
}

impl Store {
    /// A store that has read nothing yet. `restarted_at` is the annotation that holds the instant of a rollout.
    pub(crate) fn new(client: Client, restarted_at: &'static str, fetches: &Fetches) -> Self {
        Self {
            reader: Reader::new(client, restarted_at, fetches.clone()),
        }
    }

    /// From now on the workload is kept.
    pub(crate) fn select(&self, identity: &Identity) {
        self.reader.kept().select(identity);
    }

    /// The pods of the workload as of its present `resourceVersion`, from a list that began then or later; nothing where
    /// they have to be read first. A rollout rests on a list that began after the registry was asked, and that does not
    /// wait for others.
    ///
    /// # Errors
    ///
    /// [`Error`] when they had to be read and could not.
    pub(crate) fn lookup(
        &self,
        workload: &Workload,
        since: Since,
        waiter: &Waiter,
    ) -> Result<Option<Arc<Pods>>, Error> {
        let mut at = since.at.max(workload.received());
        let (current, whole) = match self.reader.kept().find(workload, since)? {
            Found::Good(pods) => return Ok(Some(pods)),
            Found::Old {
                current,
                read,
                others,
            } => {
                at = at.max(read + Duration::from_nanos(1)); // the same list again says nothing new
                (Some(current), others)
            }
            Found::Nothing { others } => (None, others),
        };
        let selector = workload.selector().as_str();
        let selector = selector.map_err(|error| Error::Selector(error.to_owned()))?;
        let needed = current.is_none() && workload.kind.finds_pods_by_history();
        let is_history_known = || self.reader.kept().undone(workload).is_some();
        let templates = since.templates && !is_history_known();
        let history = (needed || templates).then(|| PastTemplates {
            of: workload.kind.history(),
            templates,
        });
        let wanted = Wanted {
            history,
            since: Since { at, ..since },
            urgent: since.asked.is_some(),
            whole: whole && since.asked.is_none(),
        };
        self.reader
            .request(workload, selector.to_owned(), wanted, waiter)
    }

    /// The pods of a selected workload as they were last read, however old that is: for those who ask, not for decisions.
    pub(crate) fn last(&self, identity: &Identity) -> Option<Arc<Pods>> {
        self.reader.kept().last(identity)
    }

    /// Forgets what was read of a workload that is no longer selected.
    pub(crate) fn forget(&self, identity: &Identity) {
        self.reader.kept().forget(identity);
    }

    /// Drops lists that serve nobody any more, and namespaces of which nobody asks.
    pub(crate) fn tidy(&self) {
        self.reader.tidy();
    }
}

#[cfg(test)]
mod tests;
