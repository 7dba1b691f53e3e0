//! Many workloads on few tags, for measurements.

mod copies;

use std::time::Duration;

use futures::{StreamExt as _, TryStreamExt as _, stream};
use kube::{
    Api,
    api::{ListParams, Patch, PatchParams, PostParams},
    core::DynamicObject,
};
use serde_json::Value;
use tokio::time::sleep;

use super::{
    Deployment, Kind, TimedOut, each_thousand, eventually,
    progress::{Progress, is_complete},
};
use crate::{
    Namespace, control_plane,
    image::{Image, ImageIndex, Pusher, RequestError},
};

/// How many requests are under way at once.
const AT_ONCE: usize = 16;

/// How long the pods of each thousand workloads may take.
const UP_WITHIN: Duration = Duration::from_secs(600);

/// Between two polls of all, for each thousand workloads.
const PAUSE: Duration = Duration::from_secs(2);

/// Why the workloads are not there.
#[derive(Debug, thiserror::Error)]
pub enum ManyError {
    /// An image could not be pushed.
    #[error("could not push an image")]
    Push(#[from] RequestError),
    /// A workload is no JSON, which does not happen.
    #[error("could not describe a workload")]
    Describe(#[from] serde_json::Error),
    /// The API server refused a request.
    #[error("the API server did not do what was asked")]
    Api(#[from] kube::Error),
    /// Copies could not be written, or the controllers did not restart.
    #[error("could not write copies")]
    Copy(#[from] control_plane::Error),
    /// The controllers made something else than a Deployment with a ReplicaSet and a pod.
    #[error("there is nothing to copy")]
    NoModel,
    /// Their pods are not up.
    #[error(transparent)]
    TimedOut(#[from] TimedOut),
}

/// Workloads of one pod, or one on every node, spread evenly over the tags `<repository>:0`, `:1`, ….
#[derive(Debug, Clone)]
pub struct Many {
    /// Where the images are.
    pub repository: String,
    /// How many workloads there are.
    pub workloads: usize,
    /// How many tags there are.
    pub tags: usize,
    /// Of which kinds they are: each tag has as many of one as of another.
    pub kinds: Vec<Kind>,
}

impl Many {
    /// Pushes an index with another image to a tag.
    ///
    /// # Errors
    ///
    /// [`ManyError::Push`].
    pub async fn push(
        &self,
        pusher: &Pusher,
        tag: usize,
        image: &str,
        build: &str,
    ) -> Result<(), ManyError> {
        let image = Image::new(format!("{} {tag} {image}", self.repository));
        let index = ImageIndex::of([image]).attested(build);
        pusher
            .push(&index, &self.repository, &tag.to_string())
            .await?;
        Ok(())
    }

    /// Pushes to every tag: with the `image` of before, another `build` changes the attestation and nothing else.
    ///
    /// # Errors
    ///
    /// [`ManyError::Push`].
    pub async fn push_all(
        &self,
        pusher: &Pusher,
        image: &str,
        build: &str,
    ) -> Result<(), ManyError> {
        stream::iter(0..self.tags)
            .map(|tag| self.push(pusher, tag, image, build))
            .buffer_unordered(AT_ONCE)
            .try_collect()
            .await
    }

    /// Creates the workloads, labelled, and waits until all are up. Their images are pulled from `host`.
    ///
    /// # Errors
    ///
    /// [`ManyError`] when they cannot be created, or their pods do not start.
    pub async fn deploy(&self, namespace: &Namespace, host: &str) -> Result<(), ManyError> {
        self.create(namespace, host, 0..self.workloads).await?;
        self.up(namespace, self.workloads).await
    }

    async fn create(
        &self,
        namespace: &Namespace,
        host: &str,
        numbers: impl Iterator<Item = usize>,
    ) -> Result<(), ManyError> {
        self.each(numbers, async |number| {
            let kind = self.kind(number);
            let like = Deployment::named(&name(number))
                .container("app", &self.image(number, host))
                .labelled();
            let object = kind.object(like)?;
            let api = api(namespace, kind);
            api.create(&PostParams::default(), &object).await?;
            Ok(())
        })
        .await
    }

    /// Waits until this many workloads are rolled out.
    ///
    /// # Errors
    ///
    /// [`ManyError::TimedOut`].
    pub async fn up(&self, namespace: &Namespace, workloads: usize) -> Result<(), ManyError> {
        let deadline = each_thousand(UP_WITHIN, workloads);
        let thousands = u32::try_from(workloads / 1000).unwrap_or(u32::MAX);
        let all_up = async || {
            let up = self.count_up(namespace).await;
            let up = up.map_err(|error| error.to_string())?;
            if up == workloads {
                Ok(())
            } else {
                // A list of thousands keeps the API server from making their pods.
                sleep(PAUSE.saturating_mul(thousands)).await;
                Err(format!("{up} of {workloads} are"))
            }
        };
        eventually(deadline, "every workload is available", all_up).await?;
        Ok(())
    }

    async fn count_up(&self, namespace: &Namespace) -> Result<usize, kube::Error> {
        let mut up = 0;
        for kind in &self.kinds {
            let api: Api<Progress> =
                Api::namespaced_with(namespace.client(), namespace.name(), &kind.resource());
            let list = api.list(&ListParams::default()).await?;
            up += list.iter().filter(|one| is_complete(*kind, one)).count();
        }
        Ok(up)
    }

    /// Patches the first `count` workloads, over sixteen connections.
    ///
    /// # Errors
    ///
    /// [`ManyError::Api`].
    pub async fn patch(
        &self,
        namespace: &Namespace,
        count: usize,
        patch: &Value,
    ) -> Result<(), ManyError> {
        let patch = Patch::Merge(patch);
        self.each(0..count, async |number| {
            let api = api(namespace, self.kind(number));
            let parameters = PatchParams::default();
            api.patch(&name(number), &parameters, &patch).await?;
            Ok(())
        })
        .await
    }

    /// The kind of the workload with this number.
    fn kind(&self, number: usize) -> Kind {
        let place = number / self.tags % self.kinds.len().max(1);
        let kind = self.kinds.get(place).copied();
        kind.unwrap_or(Kind::Deployment)
    }

    /// The image of the workload with this number.
    fn image(&self, number: usize, host: &str) -> String {
        format!("{host}/{}:{}", self.repository, number % self.tags)
    }

    async fn each(
        &self,
        numbers: impl Iterator<Item = usize>,
        request: impl AsyncFn(usize) -> Result<(), ManyError>,
    ) -> Result<(), ManyError> {
        stream::iter(numbers)
            .map(|number| request(number))
            .buffer_unordered(AT_ONCE)
            .try_collect()
            .await
    }
}

fn api(namespace: &Namespace, kind: Kind) -> Api<DynamicObject> {
    Api::namespaced_with(namespace.client(), namespace.name(), &kind.resource())
}

fn name(number: usize) -> String {
    format!("web-{number}")
}
