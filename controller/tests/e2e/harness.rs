//! The namespace of a test, with what the controller under test watches in it.

mod controller;

use std::{path::Path, time::Duration};

use k8s_openapi::api::{
    apps::v1::Deployment,
    core::v1::Secret,
    events::v1::Event,
    rbac::v1::{ClusterRole, ClusterRoleBinding, PolicyRule},
};
use kube::api::{ListParams, Patch, PatchParams, PostParams};
use kube_autorollout_testbed::{
    Bed, Namespace,
    control_plane::Request,
    controller::{SERVICE_ACCOUNT, permit, rights, user},
    environment::with_sources,
    image::{Content, Image, Pusher},
    node::RunningContainer,
    process::Mark,
    shared, workload,
    workload::{eventually, rolled_out, wait_until},
};
use serde_json::{Value, json};

use crate::way::complete;

pub(crate) use controller::Controller;

/// A generous deadline for what has to happen, also on a busy machine.
pub(crate) const SOON: Duration = Duration::from_secs(60);

/// A namespace with a repository of the same name, and a role for the controller.
pub(crate) struct World {
    pub(crate) testbed: Bed,
    pub(crate) namespace: Namespace,
    pub(crate) pusher: Pusher,
    /// Where the audit log stood: what is before is of other tests, and a lot by the end of all.
    pub(crate) begun: Mark,
}

impl World {
    /// With the permissions that the contract names, and nothing more.
    pub(crate) async fn new(hint: &str) -> Self {
        Self::with_rights(hint, rights(&[])).await
    }

    /// With the Deployment `web` on version 1 of the tag `app`, and a controller that finds it up to date.
    pub(crate) async fn with_web(hint: &str, configuration: &str) -> (Self, Controller) {
        let world = Self::new(hint).await;
        world.push(&world.version(1), "app").await;
        world.deploy("web", "app").await;
        let controller = world.controller(configuration).await;
        controller.until_all("UpToDate", 1).await;
        (world, controller)
    }

    /// With these permissions for the controller.
    pub(crate) async fn with_rights(hint: &str, rules: Vec<PolicyRule>) -> Self {
        Self::on(Bed::Shared(shared().await), hint, rules).await
    }

    /// Gives the controller one more right.
    pub(crate) async fn permit(&self, rule: PolicyRule) {
        let (client, namespace) = (self.namespace.client(), self.namespace.name());
        let permitted = permit(client, namespace, "more", vec![rule]).await;
        permitted.expect("a role");
    }

    /// A Secret that pods pull with.
    pub(crate) async fn secret(&self, name: &str, docker_config: &str) {
        let secret = json!({
            "metadata": { "name": name },
            "type": "kubernetes.io/dockerconfigjson",
            "stringData": { ".dockerconfigjson": docker_config },
        });
        self.create_object::<Secret>(&parsed(secret)).await;
    }

    /// Lets the controller read the platforms of nodes.
    pub(crate) async fn permit_nodes(&self) {
        let name = format!("{}-nodes", self.namespace.name());
        let role: ClusterRole = parsed(json!({
            "metadata": { "name": name },
            "rules": [{ "apiGroups": [""], "resources": ["nodes"], "verbs": ["get"] }],
        }));
        let binding: ClusterRoleBinding = parsed(json!({
            "metadata": { "name": name },
            "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name },
            "subjects": [{ "kind": "ServiceAccount", "name": SERVICE_ACCOUNT, "namespace": self.namespace.name() }],
        }));
        let client = self.namespace.client();
        let parameters = PostParams::default();
        let api = kube::Api::all(client.clone());
        api.create(&parameters, &role).await.expect("a role");
        let api = kube::Api::all(client);
        api.create(&parameters, &binding).await.expect("a binding");
    }

    /// An image that no other test has.
    pub(crate) fn version(&self, version: u32) -> Image {
        Image::new(self.marker(version))
    }

    /// The marker of that image.
    pub(crate) fn marker(&self, version: u32) -> String {
        format!("{}-{version}", self.namespace.name())
    }

    /// The reference of an image in this world's own repository.
    pub(crate) fn image(&self, tag: &str) -> String {
        format!(
            "{}/{}:{tag}",
            self.testbed.registry().host(),
            self.namespace.name()
        )
    }

    pub(crate) async fn push(&self, content: &(impl Content + Sync), tag: &str) {
        let pushed = self.pusher.push(content, self.namespace.name(), tag).await;
        assert_eq!(pushed.expect("pushed"), content.root_digest());
    }

    /// A labelled Deployment with one container `app` of the tag, rolled out.
    pub(crate) async fn deploy(&self, name: &str, tag: &str) {
        let image = self.image(tag);
        self.create(
            workload::Deployment::named(name)
                .container("app", &image)
                .labelled(),
        )
        .await;
        self.rolled_out(name).await;
    }

    /// Creates an object of any kind.
    pub(crate) async fn create_object<K>(&self, object: &K)
    where
        K: kube::Resource<Scope = kube::core::NamespaceResourceScope, DynamicType = ()>
            + Clone
            + std::fmt::Debug
            + serde::Serialize
            + serde::de::DeserializeOwned,
    {
        let api = self.namespace.api::<K>();
        let created = api.create(&PostParams::default(), object).await;
        created.expect("created");
    }

    pub(crate) async fn create(&self, deployment: workload::Deployment) -> Deployment {
        let created = deployment
            .create(&self.namespace.client(), self.namespace.name())
            .await;
        created.expect("created")
    }

    pub(crate) async fn rolled_out(&self, name: &str) {
        let complete = rolled_out(&self.namespace.api(), name, SOON).await;
        complete.unwrap_or_else(|error| panic!("{error}"));
    }

    pub(crate) async fn deployment(&self, name: &str) -> Deployment {
        self.namespace.api().get(name).await.expect("a Deployment")
    }

    /// Waits until the Deployment is as the condition wants it.
    pub(crate) async fn until(
        &self,
        name: &str,
        condition: impl FnMut(&Deployment) -> bool,
    ) -> Deployment {
        let found = wait_until(&self.namespace.api(), name, SOON, condition).await;
        found.unwrap_or_else(|error| panic!("{error}"))
    }

    /// Changes the Deployment as a user would.
    pub(crate) async fn patch(&self, name: &str, patch: Value) -> Deployment {
        let parameters = PatchParams::default();
        let patched = self
            .namespace
            .api::<Deployment>()
            .patch(name, &parameters, &Patch::Merge(patch))
            .await;
        patched.expect("patched")
    }

    /// What the containers of the namespace run, by the markers of their images, sorted.
    pub(crate) fn markers(&self) -> Vec<String> {
        let running: Vec<RunningContainer> = self.testbed.nodes().running(self.namespace.name());
        let mut markers: Vec<_> = running
            .into_iter()
            .map(|container| container.marker)
            .collect();
        markers.sort();
        markers
    }

    /// Waits until this many containers run in the namespace, all with an image of this marker.
    pub(crate) async fn until_running(&self, marker: &str, containers: usize) {
        self.until_markers(vec![marker.to_owned(); containers])
            .await;
    }

    /// Waits until the containers of the namespace run images of these markers, and no others.
    pub(crate) async fn until_markers(&self, mut expected: Vec<String>) {
        expected.sort();
        let running = eventually(SOON, "running these images", async || {
            let markers = self.markers();
            (markers == expected)
                .then_some(())
                .ok_or_else(|| format!("{markers:?}"))
        });
        running.await.unwrap_or_else(|error| panic!("{error}"));
    }

    /// The controller's requests to the API server.
    pub(crate) fn requests(&self) -> Vec<Request> {
        let user = user(self.namespace.name());
        let audit = self.testbed.control_plane().audit();
        audit
            .requests_since(self.begun, |request| request.user == user)
            .expect("the audit log")
    }

    /// How often the controller listed pods.
    pub(crate) fn pod_lists(&self) -> usize {
        let lists = |request: &&Request| request.verb == "list" && request.resource == "pods";
        self.requests().iter().filter(lists).count()
    }

    /// Waits until the controller has listed pods more often than `before`.
    pub(crate) async fn until_pod_list(&self, before: usize) {
        let listed = eventually(SOON, "a list of the pods", async || {
            let more = self.pod_lists() > before;
            more.then_some(()).ok_or_else(String::new)
        });
        listed.await.unwrap_or_else(|error| panic!("{error}"));
    }

    /// How many patches of workloads the controller sent, and the API server took.
    pub(crate) fn patches(&self) -> usize {
        let kinds = ["deployments", "statefulsets", "daemonsets"];
        kinds.map(|plural| self.patches_of(plural)).iter().sum()
    }

    /// The same of one kind.
    pub(crate) fn patches_of(&self, plural: &str) -> usize {
        let taken = |request: &&Request| {
            request.verb == "patch" && request.resource == plural && request.code == 200
        };
        self.requests().iter().filter(taken).count()
    }

    /// The notes of the Events about a workload, with one reason.
    pub(crate) async fn events(&self, name: &str, reason: &str) -> Vec<String> {
        let events = self
            .namespace
            .api::<Event>()
            .list(&ListParams::default())
            .await
            .expect("Events");
        let about = |event: &Event| {
            let regarding = event
                .regarding
                .as_ref()
                .and_then(|object| object.name.as_deref());
            regarding == Some(name) && event.reason.as_deref() == Some(reason)
        };
        let notes = events.items.into_iter().filter(about);
        notes.map(|event| event.note.unwrap_or_default()).collect()
    }

    /// Waits for an Event, and gives its note.
    pub(crate) async fn until_event(&self, name: &str, reason: &str) -> String {
        let what = format!("the Event {reason}");
        let found = eventually(SOON, &what, async || {
            self.events(name, reason)
                .await
                .pop()
                .ok_or_else(|| "no such Event".to_owned())
        });
        found.await.unwrap_or_else(|error| panic!("{error}"))
    }

    /// Waits until there are exactly this many Events.
    pub(crate) async fn until_events(&self, name: &str, reason: &str, number: usize) {
        let what = format!("{number} Events {reason}");
        let found = eventually(SOON, &what, async || {
            let notes = self.events(name, reason).await;
            (notes.len() == number)
                .then_some(())
                .ok_or_else(|| format!("{notes:?}"))
        });
        found.await.unwrap_or_else(|error| panic!("{error}"));
    }

    /// A controller that checks every second, with more lines of configuration, once it is ready.
    pub(crate) async fn controller(&self, configuration: &str) -> Controller {
        self.controller_when("/readyz", configuration).await
    }

    /// The same, once it is alive.
    pub(crate) async fn controller_as_it_is(&self, configuration: &str) -> Controller {
        self.controller_when("/livez", configuration).await
    }

    async fn controller_when(&self, path: &'static str, configuration: &str) -> Controller {
        let text = complete(configuration);
        let program = Path::new(env!("CARGO_BIN_EXE_kube-autorollout"));
        let started = self
            .testbed
            .start_controller(&self.namespace, program, &text, path);
        let started = started
            .await
            .unwrap_or_else(|error| panic!("{}", with_sources(&error)));
        Controller(started)
    }
}

pub(crate) fn parsed<T: serde::de::DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).expect("a test's own object")
}
