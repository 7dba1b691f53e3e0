//! What new pods could or would not pull, and registries that do not respond.

use super::*;

#[test]
fn a_rollout_waits_for_images_that_new_pods_could_not_pull() {
    for reason in Reason::ALL {
        let other = |other| observed(&[other, container("web", &[stale()])]);
        let no_tag = other(failing("proxy", *reason));
        let no_manifest = other(container("proxy", &[unknown(*reason), current()]));
        for workload in [no_tag, no_manifest] {
            if reason.blocks_new_pods() {
                assert_said(
                    &workload,
                    State::Outdated,
                    Reason::WaitingForOtherContainer,
                    "proxy",
                );
            } else {
                assert_rolled_out(&workload, &["web"]);
            }
        }
    }
}

#[test]
fn a_rollout_waits_while_another_containers_image_could_not_start() {
    for reason in [Reason::UnsupportedMediaType, Reason::NoMatchingPlatform] {
        let chart = container("proxy", &[pod(Verdict::CannotStart(reason)), not_started()]);
        assert_said(
            &observed(std::slice::from_ref(&chart)),
            State::Unknown,
            reason,
            "proxy",
        );
        let workload = observed(&[chart, container("web", &[stale()])]);
        let waits = Reason::WaitingForOtherContainer;
        assert_said(&workload, State::Outdated, waits, "proxy");
    }
    // What can only not be read says nothing about new pods: that may be the old image, or a proxy in between.
    let unread = container("proxy", &[unknown(Reason::UnsupportedMediaType)]);
    let workload = observed(&[unread, container("web", &[stale()])]);
    assert_rolled_out(&workload, &["web"]);
}

#[test]
fn a_refusal_does_not_hide_that_new_pods_could_not_start() {
    let pods = [unknown(Reason::Denied), unknown(Reason::Timeout)];
    let refused_tag = Container {
        tag: Err(Reason::Denied),
        ..container("proxy", &[unknown(Reason::Timeout)])
    };
    for other in [container("proxy", &pods), refused_tag] {
        let workload = observed(&[other, container("web", &[stale()])]);
        assert_said(
            &workload,
            State::Outdated,
            Reason::WaitingForOtherContainer,
            "proxy",
        );
    }
}

#[test]
fn a_rollout_does_not_wait_for_images_that_new_pods_do_not_pull() {
    let pinned = Container {
        exempt: Some(Exemption::Pinned),
        ..failing("proxy", Reason::TagNotFound)
    };
    let cached = Container {
        pods: vec![not_pulling(unknown(Reason::TagNotFound))],
        ..failing("proxy", Reason::TagNotFound)
    };
    for other in [pinned, cached] {
        assert_rolled_out(&observed(&[other, container("web", &[stale()])]), &["web"]);
    }
}

#[test]
fn a_rollout_does_not_wait_for_images_that_only_older_pods_name() {
    let older = |verdict| Running {
        names_tag: false,
        ..pod(verdict)
    };
    for verdict in [
        Verdict::Unknown(Reason::Timeout),
        Verdict::CannotStart(Reason::UnsupportedMediaType),
    ] {
        let rewritten = container("proxy", &[current(), older(verdict)]);
        assert_rolled_out(
            &observed(&[rewritten, container("web", &[stale()])]),
            &["web"],
        );
    }
}

#[test]
fn a_stale_pod_that_names_another_image_is_not_replaced_by_one_that_could_not_start() {
    let older = Running {
        names_tag: false,
        ..stale()
    };
    let chart = pod(Verdict::CannotStart(Reason::UnsupportedMediaType));
    let workload = observed(&[container("web", &[older, chart])]);
    let reason = Reason::UnsupportedMediaType;
    assert_said(&workload, State::Unknown, reason, "web");
}

#[test]
fn a_stale_pod_that_names_another_image_does_not_show_that_the_tag_can_be_had() {
    let older = Running {
        names_tag: false,
        ..stale()
    };
    let reason = Reason::TagNotFound;
    let doubt = container("web", &[unknown(reason), older.clone()]);
    assert_said(&observed(&[doubt]), State::Unknown, reason, "web");
    for verdict in [Verdict::Stale, Verdict::Current(Reason::Current)] {
        let pods = [unknown(reason), pod(verdict), older.clone()];
        assert_rolled_out(&observed(&[container("web", &pods)]), &["web"]);
    }
}

#[test]
fn a_container_that_does_not_pull_is_skipped_and_never_rolled_out() {
    let pods = [stale(), not_pulling(stale())]; // an admission webhook may have changed one of them
    let workload = observed(&[container("web", &pods)]);
    assert_said(&workload, State::Skipped, Reason::PullPolicy, "web");
    assert_said(
        &recorded(&[("web", 'b')], workload),
        State::Skipped,
        Reason::PullPolicy,
        "web",
    );
    let current = observed(&[container("web", &[not_pulling(current())])]);
    assert_said(
        &recorded(&[("web", 'a')], current),
        State::Skipped,
        Reason::PullPolicy,
        "web",
    );
}

#[test]
fn an_error_keeps_everything_running() {
    let failing = observed(&[
        failing("web", Reason::TagNotFound),
        container("proxy", &[current()]),
    ]);
    assert_said(&failing, State::Unknown, Reason::TagNotFound, "web");
    let half_known = observed(&[container("web", &[current(), unknown(Reason::Timeout)])]);
    assert_said(&half_known, State::Unknown, Reason::Timeout, "web");
    let starting = observed(&[
        container("proxy", &[not_started()]),
        container("web", &[unknown(Reason::Tls)]),
    ]);
    assert_said(&starting, State::Unknown, Reason::Tls, "web");
    let starting = observed(&[
        container("proxy", &[not_started()]),
        container("web", &[current()]),
    ]);
    assert_said(&starting, State::Unknown, Reason::NotStarted, "proxy");
}
