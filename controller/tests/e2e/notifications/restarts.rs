//! Each event is one message, also over a restart of the controller.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::{
    authorization::v1::{ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec},
    rbac::v1::RoleBinding,
};
use kube::{
    Api,
    api::{DeleteParams, PostParams},
};
use kube_autorollout_core::annotations::RESTARTED_AT;
use kube_autorollout_notifications::{Event, Notice, Workload};
use kube_autorollout_testbed::{
    controller::{self, SERVICE_ACCOUNT},
    image::{Behaviour, Content as _, Image},
    receiver::Receiver,
    workload::eventually,
};
use serde_json::{Value, json};

use super::{configuration, messages};
use crate::{
    harness::{Controller, SOON, World},
    permissions::without_patches,
};

/// Longer than a controller takes to start again.
const DOWNLOAD: Duration = Duration::from_secs(8);

fn words<'m>(messages: &'m [Value], field: &str) -> Vec<&'m str> {
    let words = messages.iter().map(|message| message[field].as_str());
    words.map(Option::unwrap_or_default).collect()
}

/// The same controller in another process.
async fn restart(controller: &Controller) {
    assert_eq!(controller.stop().await, Some(0));
    controller.start().await;
}

/// The messages that have come once `web` was checked a few times more: as many as there were.
async fn still(controller: &Controller, receiver: &Receiver, number: usize) -> Vec<Value> {
    messages(receiver, number).await;
    controller.checks("web", 3).await;
    messages(receiver, number).await
}

#[tokio::test]
async fn a_restart_repeats_at_most_the_last_message_with_the_same_id() {
    let receiver = Receiver::start().await.expect("a receiver");
    let events = [
        "started",
        "rolledOut",
        "notConverging",
        "heldBack",
        "recovered",
    ];
    let configuration = configuration(&receiver, &events);
    let (world, controller) = World::with_web("repeats", &configuration).await;
    let push = async |version: u32, behaviour: Option<Behaviour>| {
        let image = world.version(version);
        let image = match behaviour {
            Some(behaviour) => image.behaviour(behaviour),
            None => image,
        };
        world.push(&image, "app").await;
    };
    push(2, None).await;
    messages(&receiver, 2).await;
    restart(&controller).await;
    let complete = still(&controller, &receiver, 2).await;
    assert_eq!(words(&complete, "event"), ["started", "rolledOut"]);

    push(3, Some(Behaviour::Crashes)).await;
    messages(&receiver, 4).await;
    restart(&controller).await;
    let stuck = &still(&controller, &receiver, 5).await[2..];
    assert_eq!(
        words(stuck, "event"),
        ["started", "notConverging", "notConverging"]
    );
    assert_eq!(stuck[2]["id"], stuck[1]["id"]);

    push(4, None).await;
    let recovered = &messages(&receiver, 8).await[5..];
    assert_eq!(
        words(recovered, "event"),
        ["started", "rolledOut", "recovered"]
    );
    let hold = json!({ "metadata": { "annotations": { "kube-autorollout/hold": "true" } } });
    world.patch("web", hold).await;
    push(5, None).await;
    messages(&receiver, 9).await;
    restart(&controller).await;
    let all = still(&controller, &receiver, 10).await;
    assert_eq!(words(&all[8..], "event"), ["heldBack", "heldBack"]);
    assert_eq!(all[9]["id"], all[8]["id"]);
    let mut ids = words(&all, "id");
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 8, "two are repeated: {all:#?}");
}

/// What the ID of an event is by nothing but the workload itself.
async fn id(world: &World, event: Event, image: &Image) -> String {
    let web = world.deployment("web").await;
    let template = json!(web.spec)["template"]["metadata"]["annotations"].clone();
    let sent = template[RESTARTED_AT].as_str().expect("a rollout");
    let notice = Notice {
        event,
        at: Timestamp::UNIX_EPOCH,
        workload: Workload {
            namespace: String::new(),
            kind: "Deployment",
            name: String::new(),
            uid: web.metadata.uid.expect("a UID"),
        },
        containers: Vec::new(),
        digests: format!("app={} ", image.root_digest()),
        rollout: Some(sent.parse().expect("an instant")),
        took: None,
        reason: None,
        detail: None,
        refused: None,
    };
    notice.id()
}

#[tokio::test]
async fn a_rollout_that_outlasts_the_controller_is_reported_once_by_the_next_with_the_same_id() {
    let receiver = Receiver::start().await.expect("a receiver");
    let sink = configuration(&receiver, &["started", "rolledOut"]);
    let (world, controller) = World::with_web("outlasts", &sink).await;
    let image = world.version(2).download(DOWNLOAD);
    world.push(&image, "app").await;
    messages(&receiver, 1).await;
    restart(&controller).await;
    let all = messages(&receiver, 2).await;
    assert_eq!(words(&all, "event"), ["started", "rolledOut"]);
    for (message, event) in all.iter().zip([Event::Started, Event::RolledOut]) {
        assert_eq!(message["id"], id(&world, event, &image).await);
    }
    still(&controller, &receiver, 2).await;
}

/// Takes the right away that `World::permit` gave, and waits until the API server knows.
async fn forbid(world: &World) {
    let bindings = world.namespace.api::<RoleBinding>();
    let deleted = bindings.delete("more", &DeleteParams::default()).await;
    deleted.expect("deleted");
    let namespace = world.namespace.name();
    let attributes = ResourceAttributes {
        group: Some("apps".to_owned()),
        namespace: Some(namespace.to_owned()),
        resource: Some("deployments".to_owned()),
        verb: Some("patch".to_owned()),
        ..ResourceAttributes::default()
    };
    let review = SubjectAccessReview {
        spec: SubjectAccessReviewSpec {
            user: Some(format!(
                "system:serviceaccount:{namespace}:{SERVICE_ACCOUNT}"
            )),
            resource_attributes: Some(attributes),
            ..SubjectAccessReviewSpec::default()
        },
        ..SubjectAccessReview::default()
    };
    let reviews = Api::<SubjectAccessReview>::all(world.namespace.client());
    let forbidden = eventually(SOON, "no right to patch", async || {
        let answer = reviews.create(&PostParams::default(), &review).await;
        let status = answer.expect("an answer").status.expect("a status");
        (!status.allowed)
            .then_some(())
            .ok_or_else(|| format!("{status:?}"))
    });
    forbidden.await.unwrap_or_else(|error| panic!("{error}"));
}

#[tokio::test]
async fn a_patch_that_is_refused_for_another_digest_is_another_message() {
    let receiver = Receiver::start().await.expect("a receiver");
    let sink = configuration(&receiver, &["failed"]);
    let (world, controller) = without_patches("refused-twice", &sink).await;
    world.push(&world.version(2), "app").await;
    messages(&receiver, 1).await;
    restart(&controller).await;
    let repeated = messages(&receiver, 2).await;
    assert_eq!(repeated[1]["id"], repeated[0]["id"]);

    world
        .permit(controller::rule("apps", "deployments", &["patch"]))
        .await;
    world.until_running(&world.marker(2), 1).await;
    controller.until_all("UpToDate", 1).await;
    forbid(&world).await;
    world.push(&world.version(3), "app").await;
    let [first, _, second] = &*messages(&receiver, 3).await else {
        panic!("three messages");
    };
    for message in [first, second] {
        assert_eq!(message["event"], "failed");
        assert_eq!(message["reason"], "ApiServer");
        assert_eq!(message["containers"][0]["image"], world.image("app"));
    }
    assert_ne!(second["id"], first["id"], "{second:#}");
}
