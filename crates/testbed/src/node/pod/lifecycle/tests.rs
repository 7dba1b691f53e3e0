use std::time::Duration;

use k8s_openapi::api::core::v1 as core;

use super::*;
use crate::{
    image::{Behaviour, digest_of},
    node::{back_off::BackOff, images::store::ImageFacts, pod::container::State},
};

const SPEED: Speed = Speed {
    pull: Duration::ZERO,
    start: Duration::ZERO,
    ready: Duration::ZERO,
    stop: Duration::ZERO,
    back_off: BackOff::KUBELET,
};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).expect("a small number")
}

fn image(behaviour: Behaviour) -> Provided {
    Provided {
        facts: ImageFacts {
            config: digest_of(behaviour.as_str().as_bytes()),
            marker: String::new(),
            behaviour,
            download: Duration::ZERO,
        },
        pulled: None,
        image_id: None,
    }
}

fn failure() -> PullFailure {
    PullFailure::invalid_name("web")
}

/// A pod with containers named `a`, `b` … in these roles.
fn pod(roles: &[Role]) -> Pod {
    let mut spec = PodSpec::default();
    for (name, role) in ('a'..).zip(roles) {
        let container = core::Container {
            name: name.to_string(),
            restart_policy: (*role == Role::Sidecar).then(|| "Always".to_owned()),
            ..core::Container::default()
        };
        match role {
            Role::Regular => spec.containers.push(container),
            Role::Init | Role::Sidecar => {
                spec.init_containers.get_or_insert_default().push(container);
            }
        }
    }
    Pod::new(&spec, at(0))
}

/// Starts one container with an image of this behaviour.
fn start(pod: &mut Pod, index: usize, behaviour: Behaviour, second: i64) {
    assert_eq!(pod.next(at(second), SPEED), Next::Start(index));
    pod.image_is_here(index, image(behaviour), at(second), SPEED);
}

#[test]
fn containers_start_in_order_and_the_pod_is_ready() {
    let mut pod = pod(&[Role::Init, Role::Sidecar, Role::Regular, Role::Regular]);
    for index in 0..4 {
        assert_eq!(pod.is_initialized(), index > 1, "before container {index}");
        start(&mut pod, index, Behaviour::Runs, 1);
    }
    assert_eq!(pod.next(at(1), SPEED), Next::Wait(None));
    assert!(
        pod.containers
            .iter()
            .all(|container| container.is_ready(at(1)))
    );
    assert_eq!(pod.containers[0].state, State::Finished);
}

#[test]
fn an_init_container_that_fails_keeps_the_others_waiting() {
    let mut pod = pod(&[Role::Init, Role::Regular]);
    start(&mut pod, 0, Behaviour::Crashes, 0);
    start(&mut pod, 0, Behaviour::Crashes, 0);
    assert_eq!(pod.next(at(0), SPEED), Next::Wait(Some(at(10))));
    start(&mut pod, 0, Behaviour::Runs, 10);
    assert_eq!(pod.next(at(10), SPEED), Next::Start(1));
}

#[test]
fn crashes_are_followed_by_one_start_at_once_and_then_by_growing_pauses() {
    let mut pod = pod(&[Role::Regular]);
    let mut time = 0;
    for pause in [0, 10, 20, 40] {
        start(&mut pod, 0, Behaviour::Crashes, time);
        time += pause;
        if pause > 0 {
            assert_eq!(pod.next(at(time - 1), SPEED), Next::Wait(Some(at(time))));
        }
    }
    assert_eq!(pod.containers[0].starts, 4);
}

#[test]
fn a_crash_loop_ends_when_the_next_start_finds_a_good_image() {
    let mut pod = pod(&[Role::Regular]);
    start(&mut pod, 0, Behaviour::Crashes, 0);
    start(&mut pod, 0, Behaviour::Crashes, 0);
    start(&mut pod, 0, Behaviour::Runs, 10);
    assert!(pod.containers[0].is_ready(at(10)));
    assert_eq!(pod.next(at(10), SPEED), Next::Wait(None));
}

#[test]
fn a_container_that_crashes_later_is_ready_before() {
    let mut pod = pod(&[Role::Regular]);
    start(&mut pod, 0, Behaviour::CrashesLater, 5);
    assert_eq!(pod.next(at(5), SPEED), Next::Wait(Some(at(6))));
    assert!(pod.containers[0].is_ready(at(5)));
    assert_eq!(pod.next(at(6), SPEED), Next::Start(0));
    let ended = pod.containers[0].ended.clone().expect("an end");
    assert_eq!((ended.since, ended.at, ended.exit_code), (at(5), at(6), 1));
}

#[test]
fn failed_pulls_are_repeated_after_growing_pauses() {
    let mut pod = pod(&[Role::Regular]);
    let mut time = 0;
    for pause in [10, 20, 40] {
        assert_eq!(pod.next(at(time), SPEED), Next::Start(0));
        pod.image_failed(0, failure(), at(time), SPEED);
        assert_eq!(
            pod.next(at(time), SPEED),
            Next::Wait(Some(at(time + pause / 2))),
            "the status changes to the pause"
        );
        assert_eq!(
            pod.next(at(time + pause / 2), SPEED),
            Next::Wait(Some(at(time + pause)))
        );
        time += pause;
    }
}

#[test]
fn one_container_without_an_image_does_not_hold_the_other_up() {
    let mut pod = pod(&[Role::Regular, Role::Regular]);
    assert_eq!(pod.next(at(0), SPEED), Next::Start(0));
    pod.image_failed(0, failure(), at(0), SPEED);
    start(&mut pod, 1, Behaviour::Runs, 0);
    assert!(pod.containers[1].is_ready(at(0)));
    assert!(!pod.containers[0].is_ready(at(0)));
}

#[test]
fn starting_and_becoming_ready_take_their_time() {
    let speed = Speed {
        start: Duration::from_secs(2),
        ready: Duration::from_secs(3),
        ..SPEED
    };
    let mut pod = pod(&[Role::Regular]);
    assert_eq!(pod.next(at(0), speed), Next::Start(0));
    pod.image_is_here(0, image(Behaviour::Runs), at(0), speed);
    assert_eq!(pod.next(at(0), speed), Next::Wait(Some(at(2))));
    assert_eq!(pod.next(at(2), speed), Next::Wait(Some(at(5))));
    assert!(!pod.containers[0].is_ready(at(4)));
    assert!(pod.containers[0].is_ready(at(5)));
}

#[test]
fn an_image_that_is_never_ready_is_never_ready() {
    let mut pod = pod(&[Role::Regular]);
    start(&mut pod, 0, Behaviour::NeverReady, 0);
    assert_eq!(pod.next(at(0), SPEED), Next::Wait(None));
    assert!(!pod.containers[0].is_ready(at(1_000_000)));
}
