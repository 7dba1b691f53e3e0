//! The chart on a real control plane: the pods of a release run the binary for real.

use k8s_openapi::api::{apps::v1::Deployment, core::v1 as core};
use kube::{
    Api, ResourceExt as _,
    api::{ListParams, Patch, PatchParams, PostParams},
};
use kube_autorollout_testbed::{
    Namespace, Testbed,
    image::{Image, Pusher},
    process::Port,
    programs::Program,
    shared,
    workload::{self, eventually, rolled_out, wait_until},
};
use serde_json::{Value, json};

use crate::helm::{CHART, Helm, SOON};

/// With it, the names of a release's objects are those of the chart, and its Service makes variables of our prefix.
pub(crate) const RELEASE: &str = "kube-autorollout";

/// A namespace with the controller's own image in the registry.
pub(crate) struct Place {
    pub(crate) testbed: &'static Testbed,
    pub(crate) namespace: Namespace,
    pusher: Pusher,
    pub(crate) helm: Helm,
    pub(crate) port: Port,
}

impl Place {
    pub(crate) async fn new(hint: &str, version: Program) -> Self {
        let testbed = shared().await;
        let namespace = testbed.namespace(hint).await.expect("a namespace");
        let place = Self {
            testbed,
            pusher: Pusher::new(testbed.registry().host()).expect("a pusher"),
            helm: Helm::new(version),
            port: testbed.port().expect("a port"),
            namespace,
        };
        let repository = place.repository("controller");
        let program = env!("CARGO_BIN_EXE_kube-autorollout").as_ref();
        let real = testbed.run_for_real(&repository, program);
        real.expect("the program's files");
        place.push("controller", "own", "own").await;
        place
    }

    fn repository(&self, name: &str) -> String {
        format!("{}/{name}", self.namespace.name())
    }

    /// Where images of this name are pulled from.
    pub(crate) fn image(&self, name: &str) -> String {
        let host = self.testbed.registry().host();
        format!("{host}/{}", self.repository(name))
    }

    pub(crate) async fn push(&self, name: &str, content: &str, tag: &str) {
        let image = Image::new(format!("{} {content}", self.namespace.name()));
        let pushed = self.pusher.push(&image, &self.repository(name), tag).await;
        pushed.expect("pushed");
    }

    /// Runs a command of Helm on the release.
    pub(crate) fn run(&self, command: &[&str], values: &Value) {
        let kubeconfig = self.testbed.control_plane().kubeconfig();
        let namespace = self.namespace.name();
        let done = self.helm.on(kubeconfig, namespace, command, values);
        done.map_or_else(|error| panic!("helm {command:?}: {error}"), drop);
    }

    /// Runs a command of Helm on the release, with these values on top of what every release here needs.
    pub(crate) fn helm(&self, command: &[&str], more: &Value) {
        let host = self.testbed.registry().host();
        let mut values = json!({
            "image": { "repository": self.image("controller"), "tag": "own", "pullPolicy": "Always" },
            "config": {
                "interval": "1s",
                "webserver": { "port": self.port.number() },
                "registries": [{ "hostnamePattern": host, "plainHttp": true }],
            },
            "service": { "enabled": true },
        });
        let more = more.as_object().into_iter().flatten();
        for (key, value) in more {
            values[key] = value.clone();
        }
        self.run(command, &values);
    }

    /// The only pod of the release.
    pub(crate) async fn pod(&self) -> core::Pod {
        let selected =
            ListParams::default().labels(&format!("app.kubernetes.io/instance={RELEASE}"));
        // Helm does not wait for it: of one replica, one may be unavailable
        let found = eventually(SOON, "the pod of the release is there", async || {
            let pods = self.namespace.api::<core::Pod>().list(&selected).await;
            let pods = pods.expect("pods").items;
            <[core::Pod; 1]>::try_from(pods).map_err(|pods| format!("{} pods", pods.len()))
        });
        let [pod] = found.await.unwrap_or_else(|error| panic!("{error}"));
        pod
    }

    /// Waits until the log of that pod has these words.
    pub(crate) async fn until_logged(&self, words: &str) {
        let pod = self.pod().await.name_any();
        let image = format!("{}:own", self.image("controller"));
        let said = eventually(SOON, words, async || {
            let log = self
                .testbed
                .nodes()
                .log(&image, self.namespace.name(), &pod, RELEASE);
            log.contains(words).then_some(()).ok_or(log)
        });
        said.await.unwrap_or_else(|error| panic!("{error}"));
    }

    /// A workload is found stale by the installed controller and rolled out.
    pub(crate) async fn rolls_out(&self) {
        let api = self.namespace.api::<Deployment>();
        self.push("app", "first", "own").await;
        let image = format!("{}:own", self.image("app"));
        let web = workload::Deployment::named("web").container("app", &image);
        let web = web.labelled().build();
        let created = api.create(&PostParams::default(), &web).await;
        created.expect("created");
        rolled_out(&api, "web", SOON).await.expect("up");
        self.push("app", "second", "own").await;
        wait_until(&api, "web", SOON, is_restarted)
            .await
            .expect("rolled out");
    }
}

/// Whether the controller has rolled a workload out.
pub(crate) fn is_restarted(workload: &Deployment) -> bool {
    let template = workload.spec.as_ref().map(|spec| &spec.template);
    let metadata = template.and_then(|template| template.metadata.as_ref());
    let annotations = metadata.and_then(|metadata| metadata.annotations.as_ref());
    annotations.is_some_and(|found| found.contains_key("kube-autorollout/digests"))
}

/// Pods of a namespace have to keep to a level of Pod Security.
pub(crate) async fn enforce(namespace: &Namespace, level: &str) {
    let labels = json!({ "pod-security.kubernetes.io/enforce": level });
    let patch = Patch::Merge(json!({ "metadata": { "labels": labels } }));
    let namespaces: Api<core::Namespace> = Api::all(namespace.client());
    let patched = namespaces
        .patch(namespace.name(), &PatchParams::default(), &patch)
        .await;
    patched.expect("patched");
}

async fn lives_through_everything(hint: &str, version: Program) {
    let place = Place::new(hint, version).await;
    place.helm(&["install", RELEASE, CHART, "--wait"], &json!({}));
    place.rolls_out().await;
    let upgrade = ["upgrade", RELEASE, CHART, "--wait"];
    place.helm(
        &upgrade,
        &json!({ "podAnnotations": { "example.com/new": "true" } }),
    );
    place.helm(&["rollback", RELEASE, "1", "--wait"], &Value::Null);
    place.helm(&["test", RELEASE], &Value::Null);
    place.helm(&["uninstall", RELEASE, "--wait"], &Value::Null);
    let left = place.namespace.api::<Deployment>();
    let left = left.get_opt(RELEASE).await.expect("an answer");
    assert!(left.is_none(), "the release is gone");
}

#[tokio::test]
async fn helm_3_installs_upgrades_rolls_back_tests_and_removes_it() {
    lives_through_everything("helm-three", Program::Helm3).await;
}

#[tokio::test]
async fn helm_4_installs_upgrades_rolls_back_tests_and_removes_it() {
    lives_through_everything("helm-four", Program::Helm4).await;
}

#[tokio::test]
async fn beside_the_variables_of_its_own_service_and_under_the_strictest_policy_it_starts() {
    let place = Place::new("links", Program::Helm3).await;
    enforce(&place.namespace, "restricted").await;
    let links = json!({ "enableServiceLinks": true });
    place.helm(&["install", RELEASE, CHART, "--wait"], &links);
    // The Service is older than this pod, so the pod has its variables
    let again = json!({ "enableServiceLinks": true, "podLabels": { "again": "true" } });
    place.helm(&["upgrade", RELEASE, CHART, "--wait"], &again);
}
