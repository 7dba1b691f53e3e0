use std::time::Duration;

use kube_autorollout_core::decide::Observed;
use kube_autorollout_notifications::Refused;
use serde_json::json;

use super::*;
use crate::{
    registry::failure::Failure,
    status::{Reported, messages},
};

fn digest(letter: char) -> Digest {
    let hexadecimal = letter.to_string().repeat(64);
    format!("sha256:{hexadecimal}").parse().expect("a digest")
}

fn observation(complete: bool) -> Observation {
    let app = decide::Container::new("app", "ghcr.io/team/web:main", Ok(digest('b')));
    Observation::without_pods(Observed {
        complete,
        ..Observed::complete(vec![app])
    })
}

fn decision(state: State, reason: Option<Reason>) -> Decision {
    Decision {
        state,
        reason,
        container: Some("app".to_owned()),
        stale: false,
        in_flight: false,
        recheck_at: None,
        rollout: None,
    }
}

/// The decision about the Deployment `web/web`, and its observation.
struct Case {
    decision: Decision,
    observation: Observation,
    changes: Vec<ImageChange>,
    transition: Option<Transition>,
}

/// The workload is in this state, which the container `app` determined.
fn case(state: State, reason: Option<Reason>) -> Case {
    Case {
        decision: decision(state, reason),
        observation: observation(true),
        changes: Vec::new(),
        transition: None,
    }
}

/// Its notices, if none of its warnings and delays was reported before.
fn notices(state: &mut NoticeState, case: &Case) -> Vec<Notice> {
    let identity = Identity::deployment("web", "web");
    let (decision, observation) = (&case.decision, &case.observation);
    let warnings = messages::warnings(decision, observation);
    let decided = DecidedWorkload {
        identity: &identity,
        decision,
        observation,
        changes: &case.changes,
        now: Timestamp::UNIX_EPOCH,
    };
    let is_newly_delayed = Reported::default().log_delay(&identity, decision, observation);
    let warned: Vec<_> = warnings.iter().collect();
    state.notices(&decided, case.transition, is_newly_delayed, &warned)
}

/// The events of a decision.
fn events(history: &mut NoticeState, state: State, reason: Option<Reason>) -> Vec<Event> {
    let notices = notices(history, &case(state, reason));
    notices.iter().map(|notice| notice.event).collect()
}

fn failure(reason: Reason, refused: Option<Refused>) -> Failure {
    Failure {
        reason,
        detail: String::new(),
        advice: "",
        transient: false,
        retry_after: None,
        refused,
    }
}

fn refused() -> Refused {
    Refused {
        registry: "ghcr.io".to_owned(),
        credential: 1,
    }
}

fn change(from: char, to: char) -> ImageChange {
    let version = |letter| unlabelled(&digest(letter));
    ImageChange {
        container: "app".to_owned(),
        from: Some(version(from)),
        to: version(to),
        attempt: 1,
    }
}

/// A case that leads to this event only.
fn cause(event: Event) -> (NoticeState, Case) {
    let mut state = NoticeState::default();
    let mut case = case(State::UpToDate, Some(Reason::Current));
    match event {
        Event::Started => {
            case.decision = decision(State::RollingOut, Some(Reason::InFlight));
            state.started = Some(Timestamp::UNIX_EPOCH);
        }
        Event::RolledOut => {
            case.transition = Some(Transition::Completed(Duration::from_secs(41)));
        }
        Event::NotConverging => {
            case.decision = decision(State::NotConverging, Some(Reason::ImagePullBackOff));
        }
        Event::Failed => {
            let reason = Reason::ProgressDeadlineExceeded;
            case.decision = decision(State::NotConverging, Some(reason));
        }
        Event::HeldBack => case.decision = decision(State::Held, None),
        Event::Recovered => state.is_failed = true,
        Event::CredentialRefused => {
            let failure = failure(Reason::Unauthorized, Some(refused()));
            case.decision = decision(State::Unknown, Some(Reason::Unauthorized));
            case.observation.failures = vec![("app".to_owned(), failure)];
        }
        Event::PinnedDigestGone => {
            case.observation.gone = vec![("app".to_owned(), digest('a'))];
        }
    }
    (state, case)
}

#[test]
fn each_event_of_the_closed_list_has_a_cause() {
    for event in Event::ALL {
        let (mut state, case) = cause(event);
        let notices = notices(&mut state, &case);
        let events: Vec<_> = notices.iter().map(|notice| notice.event).collect();
        assert_eq!(events, [event]);
        let is_of = |notice: &Notice| {
            (&*notice.workload.namespace, &*notice.workload.name) == ("web", "web")
        };
        assert!(notices.iter().all(is_of), "{notices:?}");
    }
}

#[test]
fn the_notice_of_a_missing_pinned_digest_has_its_container() {
    let (mut state, case) = cause(Event::PinnedDigestGone);
    let notices = notices(&mut state, &case);
    let [notice] = &*notices else {
        panic!("{notices:?}");
    };
    let detail = notice.detail.as_deref().unwrap_or_default();
    assert!(
        detail.contains("no longer has sha256:aaaaaaaaaaaa"),
        "{detail}"
    );
    let names: Vec<_> = notice
        .containers
        .iter()
        .map(|container| &*container.name)
        .collect();
    assert_eq!(names, ["app"]);
    let pinned = digest('a').to_string();
    assert_eq!(
        notice.digests, pinned,
        "the missing digest identifies the notice"
    );
}

#[test]
fn a_workload_recovers_once_after_each_failure() {
    let mut history = NoticeState::default();
    let mut after = |state, reason| events(&mut history, state, reason);
    assert_eq!(after(State::UpToDate, None), []);
    assert_eq!(
        after(State::NotConverging, Some(Reason::CrashLoopBackOff)),
        [Event::NotConverging]
    );
    assert_eq!(after(State::RollingOut, None), []);
    assert_eq!(
        after(State::NotConverging, Some(Reason::ProgressDeadlineExceeded)),
        [Event::Failed]
    );
    assert_eq!(after(State::UpToDate, None), [Event::Recovered]);
    assert_eq!(after(State::UpToDate, None), []);
    let identity = Identity::deployment("web", "web");
    let (record, note) = (Record::default(), "denied by a webhook");
    history.refused(&identity, Vec::new(), &record, note, Timestamp::UNIX_EPOCH);
    let recovered = events(&mut history, State::UpToDate, None);
    assert_eq!(recovered, [Event::Recovered]);
}

#[test]
fn the_notice_of_a_refused_rollout_has_its_images_and_digests() {
    let template =
        json!({ "spec": { "containers": [{ "name": "app", "image": "ghcr.io/team/web:main" }] } });
    let template: Template = serde_json::from_value(template).expect("a template");
    let containers = containers(&[change('a', 'b')], Some(&template));
    let identity = Identity::deployment("web", "web");
    let (record, note) = (Record::default(), "denied by a webhook");
    let notice =
        NoticeState::default().refused(&identity, containers, &record, note, Timestamp::UNIX_EPOCH);
    let why = (notice.reason, notice.detail.as_deref());
    assert_eq!(notice.event, Event::Failed);
    assert_eq!(why, (Some("ApiServer"), Some("denied by a webhook")));
    let [container] = &*notice.containers else {
        panic!("{notice:?}");
    };
    assert_eq!(container.image, "ghcr.io/team/web:main");
    let to = container.to.as_ref().map(|to| to.digest.clone());
    assert_eq!(to, Some(digest('b')));
}

#[test]
fn only_delays_that_may_last_are_reported() {
    let mut history = NoticeState::default();
    let mut held = |state, reason| !events(&mut history, state, reason).is_empty();
    assert!(held(State::Held, None));
    assert!(held(State::Outdated, Some(Reason::MinInterval)));
    for reason in [
        Reason::WaitingForBudget,
        Reason::Settling,
        Reason::WaitingForOtherContainer,
    ] {
        assert!(!held(State::Outdated, Some(reason)), "{reason}");
    }
}

#[test]
fn the_notice_of_a_refused_credential_is_that_of_its_container_only() {
    let mut case = case(State::Unknown, Some(Reason::Denied));
    case.observation.failures = vec![
        ("side".to_owned(), failure(Reason::Timeout, None)),
        ("app".to_owned(), failure(Reason::Denied, Some(refused()))),
    ];
    let notices = notices(&mut NoticeState::default(), &case);
    let [notice] = &*notices else {
        panic!("{notices:?}");
    };
    assert_eq!(notice.event, Event::CredentialRefused);
    assert_eq!(notice.refused, Some(refused()));
}

#[test]
fn the_notice_of_a_complete_rollout_has_its_duration_and_versions() {
    let (mut state, mut case) = cause(Event::RolledOut);
    case.changes = vec![change('a', 'b')];
    let notices = notices(&mut state, &case);
    let [notice] = &*notices else {
        panic!("{notices:?}");
    };
    let took = Some(Duration::from_secs(41));
    assert_eq!((notice.event, notice.took), (Event::RolledOut, took));
    let [container] = &*notice.containers else {
        panic!("{notice:?}");
    };
    assert_eq!(container.image, "ghcr.io/team/web:main");
    let digest_of =
        |version: &Option<Version>| version.as_ref().map(|version| version.digest.clone());
    assert_eq!(digest_of(&container.from), Some(digest('a')));
    assert_eq!(digest_of(&container.to), Some(digest('b')));
}
