//! Many Deployments on few tags, for measurements.

use std::time::Duration;

use futures::{StreamExt as _, TryStreamExt as _, stream};
use k8s_openapi::api::apps::v1::Deployment;
use kube::api::{ListParams, Patch, PatchParams, PostParams};
use serde_json::Value;
use tokio::time::sleep;

use super::{TimedOut, eventually, is_rolled_out};
use crate::{
    Namespace,
    image::{Image, ImageIndex, Pusher, RequestError},
};

/// How many requests are under way at once.
const AT_ONCE: usize = 16;

/// How long the pods of each thousand Deployments may take.
const UP_WITHIN: Duration = Duration::from_secs(600);

/// Between two looks at all, for each thousand Deployments.
const PAUSE: Duration = Duration::from_secs(2);

/// Why the Deployments are not there.
#[derive(Debug, thiserror::Error)]
pub enum ManyError {
    /// An image could not be pushed.
    #[error("could not push an image")]
    Push(#[from] RequestError),
    /// The API server refused a request.
    #[error("the API server did not do what was asked")]
    Api(#[from] kube::Error),
    /// Their pods are not up.
    #[error(transparent)]
    TimedOut(#[from] TimedOut),
}

/// Deployments of one pod, spread evenly over the tags `<repository>:0`, `:1`, ….
#[derive(Debug, Clone)]
pub struct Many {
    /// Where the images are.
    pub repository: String,
    /// How many Deployments there are.
    pub workloads: usize,
    /// How many tags there are.
    pub tags: usize,
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

    /// Creates the Deployments, labelled, and waits until all are up. Their images are pulled from `host`.
    ///
    /// # Errors
    ///
    /// [`ManyError`] when they cannot be created, or their pods do not come up.
    pub async fn deploy(&self, namespace: &Namespace, host: &str) -> Result<(), ManyError> {
        let api = namespace.api::<Deployment>();
        self.each(async |number| {
            let image = format!("{host}/{}:{}", self.repository, number % self.tags);
            let deployment = super::Deployment::named(&name(number))
                .container("app", &image)
                .labelled()
                .build();
            api.create(&PostParams::default(), &deployment).await
        })
        .await?;
        self.up(namespace).await
    }

    /// Waits until every Deployment is rolled out.
    ///
    /// # Errors
    ///
    /// [`ManyError::TimedOut`].
    pub async fn up(&self, namespace: &Namespace) -> Result<(), ManyError> {
        let api = namespace.api::<Deployment>();
        let thousands = u32::try_from(self.workloads / 1000).unwrap_or(u32::MAX);
        let deadline = UP_WITHIN.saturating_mul(thousands.saturating_add(1));
        let all_up = async || {
            let list = api.list(&ListParams::default()).await;
            let list = list.map_err(|error| error.to_string())?;
            let up = list.iter().filter(|one| is_rolled_out(one)).count();
            if up == self.workloads {
                Ok(())
            } else {
                // A list of thousands keeps the API server from making their pods.
                sleep(PAUSE.saturating_mul(thousands)).await;
                Err(format!("{up} of {} are", self.workloads))
            }
        };
        eventually(deadline, "every Deployment is available", all_up).await?;
        Ok(())
    }

    /// Patches every Deployment, over sixteen connections.
    ///
    /// # Errors
    ///
    /// [`ManyError::Api`].
    pub async fn patch(&self, namespace: &Namespace, patch: &Value) -> Result<(), ManyError> {
        let api = namespace.api::<Deployment>();
        let patch = Patch::Merge(patch);
        self.each(async |number| {
            api.patch(&name(number), &PatchParams::default(), &patch)
                .await
        })
        .await
    }

    async fn each(
        &self,
        request: impl AsyncFn(usize) -> Result<Deployment, kube::Error>,
    ) -> Result<(), ManyError> {
        stream::iter(0..self.workloads)
            .map(|number| request(number))
            .buffer_unordered(AT_ONCE)
            .try_for_each(async |_| Ok(()))
            .await?;
        Ok(())
    }
}

fn name(number: usize) -> String {
    format!("web-{number}")
}
