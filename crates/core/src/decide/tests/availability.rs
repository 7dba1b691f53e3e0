//! What is not available is no rollout in flight.

use super::*;

/// All pods are of the current template, and some are pending, not ready, or not there.
fn unavailable(containers: &[Container]) -> Observed {
    Observed {
        complete: false,
        ..observed(containers)
    }
}

fn unready(pod: Running) -> Running {
    Running {
        ready: false,
        ..pod
    }
}

#[test]
fn pods_that_are_not_available_put_no_rollout_off() {
    for pods in [
        [stale(), unready(stale())],
        [stale(), not_started()],
        [unready(stale()), unready(stale())],
    ] {
        assert_rolled_out(&unavailable(&[container("web", &pods)]), &["web"]);
    }
}

#[test]
fn a_workload_that_runs_its_image_is_up_to_date_although_a_pod_is_not_ready() {
    let workload = unavailable(&[container("web", &[current(), unready(current())])]);
    let (state, reason) = (State::UpToDate, Reason::Current);
    assert_said(&workload, state, reason, "web");
    assert_said(&recorded(&[("web", 'a')], workload), state, reason, "web");
    let none_started = unavailable(&[container("web", &[not_started()])]);
    assert_said(&none_started, State::Unknown, Reason::NotStarted, "web");
}

#[test]
fn our_own_rollout_is_followed_until_its_pods_are_ready() {
    let ours = |observed| Observed {
        unfinished: true,
        ..recorded(&[("web", 'a')], observed)
    };
    let starting = [container("web", &[current(), not_started()])];
    let workload = ours(unavailable(&starting));
    assert_said(&workload, State::RollingOut, Reason::InFlight, "");
    let decision = decide(&workload, &settings(), &Policy::default(), now());
    assert!(
        !decision.in_flight,
        "no pod of an older template is left, so it is none of those that may be in flight at once"
    );
    let late = Observed {
        deadline_exceeded: true,
        ..workload.clone()
    };
    assert_said(
        &late,
        State::NotConverging,
        Reason::ProgressDeadlineExceeded,
        "web",
    );
    let ready = Observed {
        complete: true,
        ..workload
    };
    assert_said(&ready, State::UpToDate, Reason::Current, "web");
}

#[test]
fn the_next_digest_does_not_wait_until_the_pods_of_the_last_one_are_ready() {
    let mut workload = unavailable(&[container("web", &[unready(stale())])]);
    workload.unfinished = true;
    assert_rolled_out(&recorded(&[("web", 'b')], workload), &["web"]);
}

#[test]
fn a_rollout_counts_as_in_flight_while_older_pods_are_left_and_it_makes_progress() {
    let in_flight_of =
        |observed: &Observed| decide(observed, &settings(), &Policy::default(), now()).in_flight;
    let replacing = recorded(
        &[("web", 'a')],
        in_flight(&[container("web", &[current()])]),
    );
    assert!(in_flight_of(&replacing));
    let lagging = Observed {
        generation_observed: false,
        replacing: false,
        ..replacing.clone()
    };
    assert!(in_flight_of(&lagging));
    let late = Observed {
        deadline_exceeded: true,
        ..replacing.clone()
    };
    assert!(!in_flight_of(&late));
    let mut stuck = replacing.clone();
    stuck.containers[0]
        .pods
        .push(waiting(Waiting::ErrImagePull, not_started()));
    assert!(!in_flight_of(&stuck));
    let paused = Observed {
        paused: true,
        ..replacing
    };
    assert!(!in_flight_of(&paused));
}
