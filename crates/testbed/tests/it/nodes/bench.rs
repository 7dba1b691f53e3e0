//! What the tests of the nodes have in common: a namespace, a repository, and lists of pods.

use std::time::Duration;

use k8s_openapi::api::{
    apps::v1::Deployment,
    core::v1::{ContainerStatus, Pod},
};
use kube::api::{ListParams, Patch, PatchParams};
use kube_autorollout_testbed::{
    Bed, Namespace, alone_with,
    control_plane::NodeGrace,
    image::{Content, Pusher},
    node::{Nodes, RunningContainer},
    shared, workload,
    workload::{eventually, rolled_out},
};
use serde_json::json;

/// How long a condition may take on a busy machine.
pub(crate) const SOON: Duration = Duration::from_secs(30);

/// A namespace with a repository of the same name in the testbed's plain registry.
pub(crate) struct Bench {
    pub(crate) testbed: Bed,
    pub(crate) namespace: Namespace,
    pusher: Pusher,
}

impl Bench {
    pub(crate) async fn new(hint: &str) -> Self {
        Self::on(Bed::Shared(shared().await), hint).await
    }

    /// On a testbed of its own, which takes silent nodes for dead after seconds.
    pub(crate) async fn alone(hint: &str) -> Self {
        let testbed = Box::new(alone_with(NodeGrace::QUICK).await);
        Self::on(Bed::Own(testbed), hint).await
    }

    async fn on(testbed: Bed, hint: &str) -> Self {
        Self {
            namespace: testbed.namespace(hint).await.expect("a namespace"),
            pusher: Pusher::new(testbed.registry().host()).expect("a pusher"),
            testbed,
        }
    }

    /// The reference of this bench's own repository with a tag.
    pub(crate) fn reference(&self, tag: &str) -> String {
        let host = self.testbed.registry().host();
        format!("{host}/{}:{tag}", self.namespace.name())
    }

    pub(crate) async fn push(&self, content: &(impl Content + Sync + ?Sized), tag: &str) {
        let pushed = self.pusher.push(content, self.namespace.name(), tag).await;
        assert_eq!(pushed.expect("pushed"), content.root_digest());
    }

    pub(crate) async fn create(&self, deployment: workload::Deployment) {
        let client = self.namespace.client();
        let created = deployment.create(&client, self.namespace.name()).await;
        created.expect("created");
    }

    pub(crate) async fn rolled_out(&self, name: &str) {
        let deployments = self.namespace.api::<Deployment>();
        let complete = rolled_out(&deployments, name, SOON).await;
        complete.expect("a complete rollout");
    }

    /// `kubectl rollout restart`, and the wait for its end.
    pub(crate) async fn restart(&self, name: &str, attempt: &str) {
        self.restart_without_wait(name, attempt).await;
        self.rolled_out(name).await;
    }

    pub(crate) async fn restart_without_wait(&self, name: &str, attempt: &str) {
        let annotations = json!({ "test/restart": attempt });
        let template = json!({ "metadata": { "annotations": annotations } });
        let patch = Patch::Merge(json!({ "spec": { "template": template } }));
        let deployments = self.namespace.api::<Deployment>();
        let patched = deployments
            .patch(name, &PatchParams::default(), &patch)
            .await;
        patched.expect("patched");
    }

    pub(crate) fn running(&self) -> Vec<RunningContainer> {
        self.testbed.nodes().running(self.namespace.name())
    }

    pub(crate) fn markers(&self) -> Vec<String> {
        let running = self.running();
        running.into_iter().map(|found| found.marker).collect()
    }

    /// Waits until nothing runs on these nodes but an image with this marker.
    pub(crate) async fn running_only(&self, nodes: &Nodes, marker: &str) {
        let running = eventually(SOON, marker, async || {
            let running = nodes.running(self.namespace.name()).into_iter();
            let markers: Vec<_> = running.map(|one| one.marker).collect();
            let only = markers.iter().all(|one| one == marker) && !markers.is_empty();
            only.then_some(()).ok_or_else(|| format!("{markers:?}"))
        });
        running.await.expect(marker);
    }

    /// The status of the one container of the one pod of an application, once `read` finds something in it.
    pub(crate) async fn observe<T>(
        &self,
        application: &str,
        what: &str,
        read: impl Fn(&ContainerStatus) -> Option<T>,
    ) -> T {
        let pods = self.namespace.api::<Pod>();
        let parameters = ListParams::default().labels(&format!("app={application}"));
        let found = eventually(SOON, what, async || {
            let pods = pods
                .list(&parameters)
                .await
                .map_err(|error| error.to_string())?;
            let statuses = pods.items.iter().filter_map(|pod| pod.status.as_ref());
            let mut statuses =
                statuses.flat_map(|status| status.container_statuses.iter().flatten());
            let found = statuses.find_map(&read);
            found.ok_or_else(|| serde_json::to_string(&pods.items).expect("JSON"))
        });
        found.await.expect(what)
    }

    pub(crate) async fn wait_for_reason(&self, application: &str, reason: &str) -> String {
        self.observe(application, reason, |status| {
            let waiting = status.state.as_ref()?.waiting.as_ref()?;
            let message = waiting.message.clone().unwrap_or_default();
            (waiting.reason.as_deref() == Some(reason)).then_some(message)
        })
        .await
    }

    pub(crate) async fn wait_for_image_id(&self, application: &str, expected: &str) {
        let what = format!("the image ID {expected}");
        self.observe(application, &what, |status| {
            (status.image_id == expected).then_some(())
        })
        .await;
    }

    /// The `imageID` that names this content in this bench's repository.
    pub(crate) fn image_id(&self, content: &(impl Content + ?Sized)) -> String {
        let host = self.testbed.registry().host();
        let name = self.namespace.name();
        format!("{host}/{name}@{}", content.root_digest())
    }
}
