//! The pods of a workload's current template: read when there is reason to, kept while there is none.

mod reader;
mod view;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use kube::{Client, Resource, ResourceExt as _};
use kube_autorollout_core::decide::Waiting;

use self::reader::Reader;
use crate::{
    clock,
    workload::{self, Workload},
};

/// The pods of a workload's current template, as of one list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Pods {
    /// When the list began: what happened later is not in it.
    pub(crate) begun: Timestamp,
    /// The workload's history already holds its current template.
    pub(crate) template_found: bool,
    /// Neither terminating nor finished.
    pub(crate) current: Vec<Pod>,
    /// Of the newest pod: the effective list, which the `ServiceAccount` may have given.
    pub(crate) pull_secrets: Vec<String>,
}

/// What matters of one pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pod {
    /// For the people who read our evidence.
    pub(crate) name: String,
    /// Where it is bound to.
    pub(crate) node: Option<String>,
    /// Its condition `Ready`.
    pub(crate) ready: bool,
    /// Of both lists.
    pub(crate) containers: Vec<Container>,
}

/// What matters of one container of a pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Container {
    /// The name that joins it with the template.
    pub(crate) name: String,
    /// As the runtime reports it, in one of many formats; empty before the first start.
    pub(crate) image_id: String,
    /// Its pull policy after admission is `Always`.
    pub(crate) pulls_always: bool,
    /// Why it waits, if for a reason that does not pass by itself.
    pub(crate) waiting: Option<Waiting>,
    /// When it last started, by its node's clock.
    pub(crate) started: Option<Timestamp>,
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
    /// Whoever read for several workloads was stopped.
    #[error("listing the pods in namespace {namespace} was abandoned")]
    Abandoned {
        /// Where.
        namespace: String,
    },
    /// The workload's pod selector has an operator that does not exist.
    #[error("the selector of the pods cannot be used: {0}")]
    Selector(String),
}

impl Error {
    fn list(plural: &'static str, namespace: &str, source: kube::Error) -> Self {
        Self::List {
            plural,
            namespace: namespace.to_owned(),
            source: Arc::new(source),
        }
    }
}

/// Reads pods, and keeps what it read of each workload.
pub(crate) struct Store {
    reader: Reader,
    kept: Mutex<HashMap<String, Kept>>,
}

struct Kept {
    resource_version: String,
    pods: Arc<Pods>,
}

impl Store {
    /// A store that has read nothing yet.
    pub(crate) fn new(client: Client) -> Self {
        Self {
            reader: Reader::new(client),
            kept: Mutex::default(),
        }
    }

    /// The pods of the workload as of its present `resourceVersion`: those kept, if they are not older than `age`.
    ///
    /// # Errors
    ///
    /// [`Error`] when they had to be read and could not.
    pub(crate) async fn get<W: Workload>(
        &self,
        workload: &W,
        age: Duration,
    ) -> Result<Arc<Pods>, Error> {
        if let Some(pods) = self.kept(workload, age) {
            return Ok(pods);
        }
        self.read(workload).await
    }

    /// The pods of the workload, from a list that begins after this call.
    ///
    /// # Errors
    ///
    /// [`Error`] when they could not be read.
    pub(crate) async fn read<W: Workload>(&self, workload: &W) -> Result<Arc<Pods>, Error> {
        let namespace = workload.namespace().unwrap_or_default();
        let selector =
            workload::pod_selector(workload).map_err(|error| Error::Selector(error.to_string()))?;
        let answer = self.reader.read(&namespace, selector, W::HISTORY).await?;
        let pods = Arc::new(answer.pods_of(workload)?);
        let kept = Kept {
            resource_version: workload.resource_version().unwrap_or_default(),
            pods: Arc::clone(&pods),
        };
        self.lock().insert(key(workload), kept);
        Ok(pods)
    }

    /// Forgets what was read of a workload that is no longer selected.
    pub(crate) fn forget(&self, uid: &str) {
        self.lock().remove(uid);
    }

    fn kept<W: Workload>(&self, workload: &W, most: Duration) -> Option<Arc<Pods>> {
        let kept = self.lock();
        let found = kept.get(&key(workload))?;
        let age = Duration::try_from(clock::now().duration_since(found.pods.begun));
        let unchanged = Some(&found.resource_version) == workload.meta().resource_version.as_ref();
        // An age below zero means that the clock was set back.
        let fresh = age.is_ok_and(|age| age < most);
        (unchanged && fresh).then(|| Arc::clone(&found.pods))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn key(workload: &impl Resource) -> String {
    workload.meta().uid.clone().unwrap_or_default()
}
