use std::time::Duration;

use k8s_openapi::api::core::v1 as core;
use oci_spec::{distribution::Reference, image::Digest};

use super::*;
use crate::{
    image::Behaviour,
    node::{
        back_off::BackOff,
        images::{failure::PullError, names::Digests, store::ImageFacts},
        options::Speed,
    },
};

const SPEED: Speed = Speed {
    pull: Duration::ZERO,
    start: Duration::ZERO,
    ready: Duration::ZERO,
    stop: Duration::ZERO,
    back_off: BackOff::KUBELET,
};

const IMAGE: &str = "127.0.0.1:5000/web:stable";

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).expect("a small number")
}

fn pod() -> Pod {
    let container = |name: &str| core::Container {
        name: name.to_owned(),
        image: Some(IMAGE.to_owned()),
        ..core::Container::default()
    };
    let spec = core::PodSpec {
        init_containers: Some(vec![container("migrate")]),
        containers: vec![container("app")],
        ..core::PodSpec::default()
    };
    Pod::new(&spec, at(0))
}

fn identity() -> Identity {
    Identity {
        uid: "1".to_owned(),
        title: "web-0_default(1)".to_owned(),
        pod_ip: "10.128.0.1".to_owned(),
        host_ip: "10.127.0.1".to_owned(),
        runtime: Runtime::Containerd,
    }
}

fn image(behaviour: Behaviour) -> Provided {
    Provided {
        facts: ImageFacts {
            config: digest_of(b"config"),
            marker: String::new(),
            behaviour,
            download: Duration::ZERO,
        },
        pulled: Some(target()),
        image_id: None,
    }
}

/// The digest that the tag resolved to.
fn target() -> Digest {
    digest_of(b"index")
}

/// The status at a second, on a node that has pulled [`IMAGE`].
fn status_at(pod: &Pod, previous: Option<&PodStatus>, second: i64) -> PodStatus {
    let mut images = ImageStore::default();
    let reference: Reference = IMAGE.parse().expect("a reference");
    let target = target();
    let digests = Digests {
        target: &target,
        manifest: &target,
    };
    images.add(&reference, Some(digests), image(Behaviour::Runs).facts);
    status(pod, &identity(), &images, previous, at(second))
}

fn app(status: &PodStatus) -> &ContainerStatus {
    &status.container_statuses.as_ref().expect("containers")[0]
}

fn waiting_of(status: &ContainerStatus) -> (&str, &str) {
    let state = status
        .state
        .as_ref()
        .and_then(|state| state.waiting.as_ref());
    let waiting = state.expect("a waiting container");
    (
        waiting.reason.as_deref().unwrap_or_default(),
        waiting.message.as_deref().unwrap_or_default(),
    )
}

fn condition_of<'a>(status: &'a PodStatus, kind: &str) -> &'a PodCondition {
    let mut conditions = status.conditions.iter().flatten();
    conditions
        .find(|condition| condition.type_ == kind)
        .expect("the condition")
}

#[test]
fn before_its_first_start_a_container_has_the_image_of_the_spec_and_no_id() {
    let status = status_at(&pod(), None, 0);
    assert_eq!(status.phase.as_deref(), Some("Pending"));
    let app = app(&status);
    assert_eq!(waiting_of(app), ("PodInitializing", ""));
    assert_eq!((app.image.as_str(), app.image_id.as_str()), (IMAGE, ""));
    assert_eq!(
        (app.ready, app.started, app.restart_count),
        (false, Some(false), 0)
    );
    let initialized = condition_of(&status, "Initialized");
    assert_eq!(initialized.status, "False");
    assert_eq!(
        initialized.message.as_deref(),
        Some("containers with incomplete status: [migrate]")
    );
}

#[test]
fn a_running_pod_shows_the_digest_and_keeps_the_time_of_its_conditions() {
    let mut pod = pod();
    pod.image_is_here(0, image(Behaviour::Runs), at(1), SPEED);
    pod.image_is_here(1, image(Behaviour::Runs), at(2), SPEED);
    let first = status_at(&pod, None, 2);
    assert_eq!(first.phase.as_deref(), Some("Running"));
    let app = app(&first);
    assert_eq!(app.image_id, format!("127.0.0.1:5000/web@{}", target()));
    assert_eq!(
        (app.ready, app.started, app.restart_count),
        (true, Some(true), 0)
    );
    assert!(
        app.container_id
            .as_deref()
            .is_some_and(|id| id.starts_with("containerd://"))
    );
    let init = &first.init_container_statuses.as_ref().expect("one")[0];
    let end = init
        .state
        .as_ref()
        .and_then(|state| state.terminated.as_ref());
    assert_eq!(end.and_then(|end| end.reason.as_deref()), Some("Completed"));
    assert_eq!(condition_of(&first, "Ready").status, "True");
    assert_eq!(status_at(&pod, Some(&first), 100), first);
}

#[test]
fn a_failed_pull_is_shown_as_such_and_then_as_a_pause() {
    let mut pod = pod();
    pod.image_is_here(0, image(Behaviour::Runs), at(0), SPEED);
    let failure = PullFailure::failed(IMAGE, &PullError::NotFound);
    pod.image_failed(1, failure, at(0), SPEED);
    let pulled = "rpc error: code = NotFound desc = failed to pull and unpack image \
                  \"127.0.0.1:5000/web:stable\": failed to resolve reference \
                  \"127.0.0.1:5000/web:stable\": 127.0.0.1:5000/web:stable: not found";
    let shown = status_at(&pod, None, 0);
    assert_eq!(waiting_of(app(&shown)), ("ErrImagePull", pulled));
    let shown = status_at(&pod, None, 5);
    let pause = format!("Back-off pulling image \"{IMAGE}\": ErrImagePull: {pulled}");
    assert_eq!(
        waiting_of(app(&shown)),
        ("ImagePullBackOff", pause.as_str())
    );
}

#[test]
fn an_invalid_name_stays_one() {
    let mut pod = pod();
    pod.image_is_here(0, image(Behaviour::Runs), at(0), SPEED);
    pod.image_failed(1, PullFailure::invalid_name("UPPER"), at(0), SPEED);
    for second in [0, 9] {
        let shown = status_at(&pod, None, second);
        assert_eq!(waiting_of(app(&shown)).0, "InvalidImageName", "{second} s");
    }
}

#[test]
fn a_crash_loop_keeps_the_image_id_and_counts_restarts() {
    let mut pod = pod();
    pod.image_is_here(0, image(Behaviour::Runs), at(0), SPEED);
    for _ in 0..3 {
        pod.image_is_here(1, image(Behaviour::Crashes), at(0), SPEED);
    }
    let shown = status_at(&pod, None, 0);
    let app = app(&shown);
    assert_eq!(
        waiting_of(app),
        (
            "CrashLoopBackOff",
            "back-off restarting failed container=app pod=web-0_default(1)"
        )
    );
    assert_eq!(app.restart_count, 2);
    assert!(!app.image_id.is_empty());
    let last = app
        .last_state
        .as_ref()
        .and_then(|state| state.terminated.as_ref());
    assert_eq!(last.map(|last| last.exit_code), Some(1));
    assert_eq!(
        shown.phase.as_deref(),
        Some("Running"),
        "as kubectl shows it"
    );
    assert_eq!(condition_of(&shown, "Ready").status, "False");
}
