//! The chart on a real control plane: the pods of a release run the binary for real.

use k8s_openapi::api::{apps::v1::Deployment, core::v1 as core};
use kube::{
    Api,
    api::{Patch, PatchParams, PostParams},
};
use kube_autorollout_testbed::{
    Namespace, Testbed,
    image::{Image, Pusher},
    process::Port,
    programs::Program,
    shared,
    workload::{self, rolled_out, wait_until},
};
use serde_json::{Value, json};

use crate::helm::{CHART, Helm, SOON};

/// With it, the names of a release's objects are those of the chart, and its Service makes variables of our prefix.
const RELEASE: &str = "kube-autorollout";

/// A namespace with the controller's own image in the registry.
struct Place {
    testbed: &'static Testbed,
    namespace: Namespace,
    pusher: Pusher,
    helm: Helm,
    port: Port,
}

impl Place {
    async fn new(hint: &str, version: Program) -> Self {
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
        place.push("controller", "own").await;
        place
    }

    /// Pods of the namespace have to keep to a level of Pod Security.
    async fn enforce(&self, level: &str) {
        let labels = json!({ "pod-security.kubernetes.io/enforce": level });
        let patch = Patch::Merge(json!({ "metadata": { "labels": labels } }));
        let namespaces: Api<core::Namespace> = Api::all(self.namespace.client());
        let name = self.namespace.name();
        let patched = namespaces
            .patch(name, &PatchParams::default(), &patch)
            .await;
        patched.expect("patched");
    }

    fn repository(&self, name: &str) -> String {
        format!("{}/{name}", self.namespace.name())
    }

    async fn push(&self, name: &str, content: &str) {
        let image = Image::new(format!("{} {content}", self.namespace.name()));
        let pushed = self
            .pusher
            .push(&image, &self.repository(name), "own")
            .await;
        pushed.expect("pushed");
    }

    /// Runs a command of Helm on the release, with these values on top of what every release here needs.
    fn helm(&self, command: &[&str], more: &Value) {
        let host = self.testbed.registry().host();
        let mut values = json!({
            "image": { "repository": format!("{host}/{}", self.repository("controller")), "tag": "own", "pullPolicy": "Always" },
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
        let control_plane = self.testbed.control_plane();
        let kubeconfig = control_plane.kubeconfig();
        let done = self
            .helm
            .on(kubeconfig, self.namespace.name(), command, &values);
        done.unwrap_or_else(|error| panic!("helm {command:?}: {error}"));
    }

    /// A workload is found stale by the installed controller and rolled out.
    async fn rolls_out(&self) {
        let api = self.namespace.api::<Deployment>();
        self.push("app", "first").await;
        let host = self.testbed.registry().host();
        let image = format!("{host}/{}:own", self.repository("app"));
        let web = workload::Deployment::named("web").container("app", &image);
        let web = web.labelled().build();
        let created = api.create(&PostParams::default(), &web).await;
        created.expect("created");
        rolled_out(&api, "web", SOON).await.expect("up");
        self.push("app", "second").await;
        let is_restarted = |web: &Deployment| {
            let template = web.spec.as_ref().map(|spec| &spec.template);
            let metadata = template.and_then(|template| template.metadata.as_ref());
            let annotations = metadata.and_then(|metadata| metadata.annotations.as_ref());
            annotations.is_some_and(|found| found.contains_key("kube-autorollout/digests"))
        };
        wait_until(&api, "web", SOON, is_restarted)
            .await
            .expect("rolled out");
    }
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
    place.enforce("restricted").await;
    let links = json!({ "enableServiceLinks": true });
    place.helm(&["install", RELEASE, CHART, "--wait"], &links);
    // The Service is older than this pod, so the pod has its variables
    let again = json!({ "enableServiceLinks": true, "podLabels": { "again": "true" } });
    place.helm(&["upgrade", RELEASE, CHART, "--wait"], &again);
}
