//! Many Deployments on few tags.

use std::time::Duration;

use futures::{StreamExt as _, TryStreamExt as _, stream};
use k8s_openapi::api::apps::v1::Deployment;
use kube::api::{ListParams, PostParams};
use kube_autorollout_testbed::{
    Namespace, Testbed,
    image::{Image, Pusher},
    workload::{self, eventually, is_rolled_out},
};

use super::Failure;

/// How many objects are created at once.
const AT_ONCE: usize = 16;

/// How long the pods of all Deployments may take.
const UP_WITHIN: Duration = Duration::from_secs(300);

/// Pushes another image to each of the tags `<repository>:<number>`.
pub(super) async fn push(
    testbed: &Testbed,
    repository: &str,
    tags: usize,
    text: &str,
) -> Result<(), Failure> {
    let pusher = Pusher::new(testbed.registry().host())?;
    for tag in 0..tags {
        let image = Image::new(format!("{repository} {tag} {text}"));
        pusher.push(&image, repository, &tag.to_string()).await?;
    }
    Ok(())
}

/// Creates labelled Deployments of one pod, evenly on the tags, and waits until all are up.
pub(super) async fn deploy(
    testbed: &Testbed,
    namespace: &Namespace,
    repository: &str,
    count: usize,
    tags: usize,
) -> Result<(), Failure> {
    let deployments = namespace.api::<Deployment>();
    stream::iter(0..count)
        .map(|number| {
            let host = testbed.registry().host();
            let image = format!("{host}/{repository}:{}", number % tags);
            let deployment = workload::Deployment::named(&format!("web-{number}"))
                .container("app", &image)
                .labelled()
                .build();
            let deployments = &deployments;
            async move {
                deployments
                    .create(&PostParams::default(), &deployment)
                    .await
            }
        })
        .buffer_unordered(AT_ONCE)
        .try_for_each(async |_| Ok(()))
        .await?;
    eventually(UP_WITHIN, "every Deployment is available", async || {
        let list = deployments.list(&ListParams::default()).await;
        let list = list.map_err(|error| error.to_string())?;
        let up = list
            .iter()
            .filter(|deployment| is_rolled_out(deployment))
            .count();
        if up == count {
            Ok(())
        } else {
            Err(format!("{up} of {count} are"))
        }
    })
    .await?;
    Ok(())
}
