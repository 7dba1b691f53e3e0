//! Every state, reason and event of notifications is reached by a test of the binary: a new one without a test does not
//! compile here, and a test that is renamed or no longer names its reason fails.

use std::{fs, path::Path};

use kube_autorollout_core::state::{Reason, State};
use kube_autorollout_notifications::Event;

const ANSWERS: &str = "registry_failures::each_way_in_which_a_registry_fails_has_its_reason";

const LEFT_ALONE: &str =
    "no_rollout::what_cannot_or_must_not_be_rolled_out_is_left_alone_with_its_reason";

const LEFT_OUT: &str = "reasons::a_workload_of_which_every_container_is_left_out_or_pinned_says_so";

const ONCE: &str = "rollout::a_push_under_the_same_tag_rolls_out_exactly_once";

const WAITS: &str = "strange_node::what_keeps_a_container_from_starting_is_the_reason_of_a_rollout_that_does_not_converge";

/// The test that reaches a state.
const fn enters(state: State) -> &'static str {
    match state {
        State::UpToDate => ONCE,
        State::Outdated => "limits::never_more_rollouts_are_in_flight_than_there_may_be",
        State::RollingOut => "rollout::a_slow_download_is_waited_for",
        State::NotConverging => "guard::an_image_that_crashes_is_rolled_out_once",
        State::Held => "annotations::a_hold_keeps_a_rollout_back_until_it_is_taken_off",
        State::Paused | State::Skipped => LEFT_ALONE,
        State::Unknown => ANSWERS,
        State::InvalidConfiguration => {
            "annotations::an_annotation_that_cannot_be_followed_stops_checks_until_it_is_fixed"
        }
    }
}

/// The test that reaches a reason.
const fn reaches(reason: Reason) -> &'static str {
    match reason {
        Reason::Current | Reason::InFlight => ONCE,
        Reason::IndexChangedOnly => "no_rollout::other_attestations_alone_roll_nothing_out",
        Reason::SameConfig => "no_rollout::another_compression_of_the_same_image_rolls_nothing_out",
        Reason::NotPinned => "pin_policies::pods_that_no_policy_pins_are_reported_once",
        Reason::RolledBack => "rollbacks::an_undone_rollout_stays_undone_until_the_next_push",
        Reason::WaitingForBudget => "limits::never_more_rollouts_are_in_flight_than_there_may_be",
        Reason::MinInterval => "limits::a_workload_rests_between_two_rollouts_also_over_a_restart",
        Reason::Settling => "limits::a_tag_that_moves_twice_before_it_settles_is_rolled_out_once",
        Reason::WaitingForOtherContainer => {
            "faults::a_tag_that_is_deleted_keeps_another_container_from_being_rolled_out"
        }
        Reason::InvalidImageName
        | Reason::ErrImagePull
        | Reason::ImagePullBackOff
        | Reason::CrashLoopBackOff => WAITS,
        Reason::ProgressDeadlineExceeded => {
            "reasons::a_rollout_that_takes_too_long_is_reported_with_its_deadline"
        }
        Reason::PullPolicy | Reason::RuntimeReportsAlias => {
            "reasons::a_record_that_the_pods_do_not_follow_is_reported_and_left_alone"
        }
        Reason::Pinned | Reason::NoPods => LEFT_ALONE,
        Reason::OnDelete => "kinds::where_people_replace_pods_nothing_is_rolled_out",
        Reason::Excluded => LEFT_OUT,
        Reason::InvalidReference => {
            "strange_node::an_image_that_a_node_runs_and_no_registry_could_be_asked_for_is_reported_as_such"
        }
        Reason::TagNotFound
        | Reason::Unauthorized
        | Reason::Denied
        | Reason::RateLimited
        | Reason::UnsupportedChallenge
        | Reason::TokenServer
        | Reason::UnsupportedMediaType
        | Reason::Schema1
        | Reason::DigestMismatch
        | Reason::ManifestTooLarge
        | Reason::RedirectRefused
        | Reason::Server => ANSWERS,
        Reason::CredentialQuarantined => {
            "credentials::a_wrong_password_is_presented_once_and_a_fixed_one_at_once"
        }
        Reason::CloudIdentity => {
            "clouds::a_missing_permission_is_reported_with_what_fixes_it_and_is_no_quarantine"
        }
        Reason::Timeout => {
            "registry_failures::a_registry_that_never_answers_is_reported_after_three_quarters_of_a_minute"
        }
        Reason::Tls => "faults::a_certificate_that_nobody_vouches_for_is_reported_as_such",
        Reason::Transport => "faults::a_registry_that_is_away_is_no_reason_to_roll_out",
        Reason::NoMatchingPlatform => {
            "reasons::an_index_without_the_platform_that_counts_is_no_reason_to_roll_out"
        }
        Reason::NotStarted => {
            "strange_node::what_runs_under_a_name_that_cannot_be_compared_is_left_alone"
        }
        Reason::ApiServer => "permissions::a_refused_patch_is_reported_and_tried_again",
    }
}

/// The test in which a sink is sent an event.
const fn sends(event: Event) -> &'static str {
    match event {
        Event::Started | Event::RolledOut => {
            "notifications::a_rollout_is_one_message_with_both_versions"
        }
        Event::NotConverging | Event::Recovered => {
            "notifications::a_broken_push_does_not_converge_and_the_next_one_recovers"
        }
        Event::Failed => "notifications::a_rollout_that_takes_too_long_has_failed",
        Event::HeldBack => "notifications::a_workload_that_is_held_is_reported_once",
        Event::CredentialRefused => {
            "notifications::a_credential_that_is_refused_is_reported_once_for_all_its_workloads"
        }
        Event::PinnedDigestGone => {
            "pins::a_pinned_digest_that_is_gone_is_reported_once_and_rolls_nothing_out"
        }
    }
}

/// A source file of the repository, by its path from this package.
fn source(path: &str) -> String {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    fs::read_to_string(package.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

#[test]
fn every_state_reason_and_event_is_reached_by_a_test_of_the_binary() {
    let states = State::ALL
        .iter()
        .map(|state| (state.as_str(), enters(*state)));
    let reasons = Reason::ALL
        .iter()
        .map(|reason| (reason.as_str(), reaches(*reason)));
    let events = Event::ALL
        .iter()
        .map(|event| (event.as_str(), sends(*event)));
    for (word, test) in states.chain(reasons).chain(events) {
        let (module, name) = test.split_once("::").expect("a module and a test");
        let text = source(&format!("tests/e2e/{module}.rs"));
        let head = format!("#[tokio::test]\nasync fn {name}(");
        assert!(
            text.contains(&head),
            "{test} is to reach {word} and is not there"
        );
        let mut words = text.split(|letter: char| !letter.is_ascii_alphanumeric());
        assert!(
            words.any(|other| other == word),
            "{test} does not name {word}"
        );
    }
}

#[test]
fn every_kind_of_error_of_a_registry_is_a_reason_of_the_same_name() {
    let text = source("../crates/registry/src/error/kind.rs");
    let (_, kinds) = text.split_once("pub enum ErrorKind {").expect("the kinds");
    let (kinds, _) = kinds.split_once("\n}").expect("their end");
    let kinds = kinds
        .lines()
        .filter_map(|line| line.trim().strip_suffix(','));
    let kinds: Vec<_> = kinds.filter(|line| !line.starts_with("//")).collect();
    assert!(
        kinds.contains(&"Schema1") && kinds.contains(&"Server"),
        "{kinds:?}"
    );
    for kind in kinds {
        // The crate does not say what is not there.
        let kind = if kind == "NotFound" {
            "TagNotFound"
        } else {
            kind
        };
        let known = Reason::ALL.iter().any(|reason| reason.as_str() == kind);
        assert!(known, "{kind} would be reported as another reason");
    }
}
