//! Statuses that only a kubelet writes: here the test itself is the kubelet, as simulated nodes do not have such failures.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::{
    coordination::v1::Lease,
    core::v1::{Node, Pod},
};
use kube::{
    Api, ResourceExt as _,
    api::{ListParams, Patch, PatchParams, PostParams},
};
use kube_autorollout_core::state::{Reason, State};
use kube_autorollout_testbed::{
    image::Image,
    workload::{Deployment, eventually},
};
use serde_json::{Value, json};
use tokio::{task::JoinSet, time::interval};

use crate::{
    harness::{SOON, World, parsed},
    reported::until_reported,
};

/// The node lifecycle controller takes a node for dead whose lease was not renewed for 40 s.
const RENEWAL: Duration = Duration::from_secs(10);

/// A node without a kubelet, which takes only pods that name it.
struct StrangeNode<'a> {
    world: &'a World,
    name: String,
    _leases: JoinSet<()>,
}

impl<'a> StrangeNode<'a> {
    async fn join(world: &'a World) -> Self {
        let name = format!("strange-{}", world.namespace.name());
        let client = world.namespace.client();
        let taint = json!({ "key": "strange", "effect": "NoSchedule" });
        let node: Node = parsed(json!({
            "metadata": { "name": name },
            "spec": { "taints": [taint] },
            "status": { "conditions": [{ "type": "Ready", "status": "True" }] },
        }));
        let nodes: Api<Node> = Api::all(client.clone());
        let created = nodes.create(&PostParams::default(), &node).await;
        created.expect("a node");
        let leases: Api<Lease> = Api::namespaced(client, "kube-node-lease");
        let mut renewing = JoinSet::new();
        renewing.spawn(renew(leases, name.clone()));
        Self {
            world,
            name,
            _leases: renewing,
        }
    }

    /// A labelled Deployment of one pod on this node.
    async fn run(&self, name: &str, image: &str) {
        let web = Deployment::named(name).container("app", image);
        self.world.create(web.on_node(&self.name).labelled()).await;
    }

    /// Writes this status of the pod of a Deployment that has no status yet.
    async fn say(&self, name: &str, says: &Says<'_>) {
        let pods = self.world.namespace.api::<Pod>();
        let selector = ListParams::default().labels(&format!("app={name}"));
        let unsaid = eventually(SOON, "a new pod", async || {
            let listed = pods.list(&selector).await.expect("pods");
            let is_new = |pod: &Pod| {
                let status = pod.status.as_ref();
                status.is_none_or(|status| status.container_statuses.is_none())
            };
            let mut pods = listed.items.into_iter();
            pods.find(is_new).ok_or_else(|| "none".to_owned())
        });
        let pod = unsaid.await.unwrap_or_else(|error| panic!("{error}"));
        let status = Patch::Strategic(json!({ "status": says.status() }));
        let parameters = PatchParams::default();
        let said = pods
            .patch_status(&pod.name_any(), &parameters, &status)
            .await;
        said.expect("said");
    }
}

/// Renews the lease of a node for ever.
async fn renew(leases: Api<Lease>, name: String) {
    let mut ticks = interval(RENEWAL);
    loop {
        ticks.tick().await;
        let lease = json!({
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": { "name": name },
            "spec": { "holderIdentity": name, "leaseDurationSeconds": 40, "renewTime": micro_time() },
        });
        let parameters = PatchParams::apply("strange").force();
        // The next tick comes in time.
        drop(leases.patch(&name, &parameters, &Patch::Apply(lease)).await);
    }
}

#[expect(clippy::disallowed_methods, reason = "a node has a clock of its own")]
fn micro_time() -> String {
    format!("{:.6}", Timestamp::now())
}

/// The status of the only container of a pod.
enum Says<'a> {
    /// It runs and is ready, with this image ID.
    Runs(&'a str),
    /// It waits, for this reason.
    Waits(Reason),
}

impl Says<'_> {
    fn status(&self) -> Value {
        let ready = matches!(self, Self::Runs(_));
        let (phase, image_id, state) = match self {
            Self::Runs(image_id) => {
                let started = json!({ "startedAt": "2026-01-01T00:00:00Z" });
                ("Running", *image_id, json!({ "running": started }))
            }
            Self::Waits(reason) => {
                let waiting = json!({ "reason": reason.as_str() });
                ("Pending", "", json!({ "waiting": waiting }))
            }
        };
        json!({
            "phase": phase,
            "conditions": [{ "type": "Ready", "status": if ready { "True" } else { "False" } }],
            "containerStatuses": [{
                "name": "app", "image": "any", "imageID": image_id, "ready": ready, "restartCount": 0, "state": state,
            }],
        })
    }
}

#[tokio::test]
async fn what_keeps_a_container_from_starting_is_the_reason_of_a_rollout_that_does_not_converge() {
    let reasons = [
        Reason::InvalidImageName,
        Reason::ErrImagePull,
        Reason::ImagePullBackOff,
        Reason::CrashLoopBackOff,
    ];
    let world = World::new("waits").await;
    let node = StrangeNode::join(&world).await;
    let old = world.version(1);
    world.push(&old, "app").await;
    let running = format!("{}@{}", world.image("app"), old.digest());
    let name = |reason: &Reason| reason.as_str().to_lowercase();
    for reason in &reasons {
        node.run(&name(reason), &world.image("app")).await;
        node.say(&name(reason), &Says::Runs(&running)).await;
    }
    let controller = world.controller("").await;
    controller.until_all("UpToDate", reasons.len()).await;

    world.push(&world.version(2), "app").await;
    for reason in &reasons {
        node.say(&name(reason), &Says::Waits(*reason)).await;
    }
    controller.until_all("NotConverging", reasons.len()).await;
    for reason in reasons {
        let name = name(&reason);
        until_reported(&world, &controller, &name, State::NotConverging, reason).await;
        let metrics = controller.metrics().await;
        let outdated = metrics.value("workload_outdated", &[("name", &name)]);
        assert_eq!(outdated, Some(1.0));
        controller.checks(&name, 2).await;
    }
    assert_eq!(world.patches(), reasons.len(), "one for each Deployment");
}

#[tokio::test]
async fn what_runs_under_a_name_that_cannot_be_compared_is_left_alone() {
    let world = World::new("nameless").await;
    let node = StrangeNode::join(&world).await;
    world.push(&Image::new("nameless"), "app").await;
    node.run("web", &world.image("app")).await;
    node.say("web", &Says::Runs("containers-storage:7f3a"))
        .await;
    let controller = world.controller("").await;
    until_reported(
        &world,
        &controller,
        "web",
        State::Unknown,
        Reason::NotStarted,
    )
    .await;
    controller.checks("web", 2).await;
    assert_eq!(world.patches(), 0);
}

#[tokio::test]
async fn an_image_that_a_node_runs_and_no_registry_could_be_asked_for_is_reported_as_such() {
    let world = World::new("no-reference").await;
    let node = StrangeNode::join(&world).await;
    let image = "Local/Image:of-this-node";
    node.run("web", image).await;
    let id = "6c3c624b58dbbcd3c0dd82b4c53f04194d1247c6eebdaab7c610cf7d66709b3b";
    node.say("web", &Says::Runs(id)).await;
    let controller = world.controller("").await;
    until_reported(
        &world,
        &controller,
        "web",
        State::Unknown,
        Reason::InvalidReference,
    )
    .await;
    assert!(!controller.log().contains(image), "it may hold a password");
    assert_eq!(world.patches(), 0);
}
