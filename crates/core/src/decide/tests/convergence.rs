//! What is said of a rollout in flight, and of one that does not do what it was for.

use super::*;

#[test]
fn a_rollout_in_flight_is_waited_for() {
    let workload = in_flight(&[container("web", &[stale(), not_started()])]);
    assert_said(&workload, State::RollingOut, Reason::InFlight, "web");
    let others = in_flight(&[container("web", &[current(), not_started()])]);
    assert_said(&others, State::RollingOut, Reason::InFlight, "");
}

#[test]
fn a_stuck_rollout_may_be_replaced_by_one_for_another_digest() {
    for reason in [
        Waiting::ErrImagePull,
        Waiting::ImagePullBackOff,
        Waiting::InvalidImageName,
        Waiting::CrashLoopBackOff,
    ] {
        let workload = in_flight(&[container("web", &[waiting(reason, stale())])]);
        assert_rolled_out(&recorded(&[("web", 'b')], workload.clone()), &["web"]);
        assert_rolled_out(&workload, &["web"]); // the user's own rollout is stuck
        assert_said(
            &recorded(&[("web", 'a')], workload),
            State::NotConverging,
            reason.reason(),
            "web",
        );
    }
    let late = Observed {
        deadline_exceeded: true,
        ..in_flight(&[container("web", &[stale()])])
    };
    assert_rolled_out(&recorded(&[("web", 'b')], late.clone()), &["web"]);
    let late = recorded(&[("web", 'a')], late);
    assert_said(
        &late,
        State::NotConverging,
        Reason::ProgressDeadlineExceeded,
        "web",
    );
}

#[test]
fn a_rollout_without_a_pod_before_its_deadline_does_not_converge() {
    // Without a pod the tag is not asked for.
    let unasked = Container {
        tag: Err(Reason::NotStarted),
        ..container("web", &[])
    };
    let late = Observed {
        deadline_exceeded: true,
        ..in_flight(&[unasked])
    };
    let (state, reason) = (State::NotConverging, Reason::ProgressDeadlineExceeded);
    assert_said(
        &recorded(&[("web", 'a')], late.clone()),
        state,
        reason,
        "web",
    );
    assert_said(&late, State::RollingOut, Reason::InFlight, "");
}

#[test]
fn a_rollout_that_stays_stuck_although_the_tag_has_moved_on_does_not_converge() {
    let pulling = waiting(Waiting::ErrImagePull, not_started());
    let stuck = in_flight(&[container("web", &[pulling])]);
    let (state, reason) = (State::NotConverging, Reason::ErrImagePull);
    assert_said(
        &recorded(&[("web", 'b')], stuck.clone()),
        state,
        reason,
        "web",
    );
    // Somebody else's rollout, which is not ours to judge.
    let said = decide(&stuck, &settings(), &Policy::default(), now());
    assert_eq!(said.state, State::RollingOut);
    let unknown = in_flight(&[failing("web", Reason::Timeout)]);
    let said = decide(
        &recorded(&[("web", 'b')], unknown),
        &settings(),
        &Policy::default(),
        now(),
    );
    assert_eq!(said.state, State::RollingOut);
}

#[test]
fn a_container_that_does_not_converge_holds_up_no_other() {
    let stuck = container("proxy", &[waiting(Waiting::CrashLoopBackOff, stale())]);
    let workload = in_flight(&[stuck, container("web", &[stale()])]);
    let rollout = assert_rolled_out(
        &recorded(&[("proxy", 'a'), ("web", 'b')], workload),
        &["web"],
    );
    assert_eq!(rollout.record, record(&[("proxy", 'a'), ("web", 'a')]));
}

#[test]
fn a_complete_rollout_that_left_ready_pods_stale_does_not_converge() {
    let alias = recorded(
        &[("web", 'a')],
        observed(&[container("web", &[stale(), current()])]),
    );
    assert_said(
        &alias,
        State::NotConverging,
        Reason::RuntimeReportsAlias,
        "web",
    );
    assert!(decide(&alias, &settings(), &Policy::default(), now()).stale);
    let cached = observed(&[container("web", &[not_pulling(stale()), stale()])]);
    let cached = recorded(&[("web", 'a')], cached);
    assert_said(&cached, State::NotConverging, Reason::PullPolicy, "web");
}

#[test]
fn a_stale_pod_that_is_not_ready_yet_is_no_evidence() {
    let unready = Running {
        ready: false,
        ..stale()
    };
    let workload = recorded(&[("web", 'a')], observed(&[container("web", &[unready])]));
    assert_said(&workload, State::RollingOut, Reason::InFlight, "web");
}

#[test]
fn the_evidence_does_not_depend_on_the_order_of_pods() {
    let pods = [
        waiting(Waiting::CrashLoopBackOff, current()),
        waiting(Waiting::ImagePullBackOff, not_started()),
        stale(),
    ];
    let mut workload = recorded(&[("web", 'a')], in_flight(&[container("web", &pods)]));
    workload.deadline_exceeded = true;
    assert_said(
        &workload,
        State::NotConverging,
        Reason::ImagePullBackOff,
        "web",
    );
}

#[test]
fn only_the_four_waiting_reasons_are_evidence() {
    for waiting in [
        Waiting::ErrImagePull,
        Waiting::ImagePullBackOff,
        Waiting::InvalidImageName,
        Waiting::CrashLoopBackOff,
    ] {
        assert_eq!(Waiting::parse(waiting.reason().as_str()), Some(waiting));
    }
    for other in [
        "",
        "ContainerCreating",
        "PodInitializing",
        "CreateContainerError",
        "errimagepull",
    ] {
        assert_eq!(Waiting::parse(other), None, "{other}");
    }
}
