use std::time::Duration;

use kube_autorollout_core::{
    decide::Observed,
    pins::Pins,
    record::{Attempts, Record},
};
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
    Observation::unseen(Observed {
        paused: false,
        generation_observed: true,
        wants_pods: true,
        replacing: false,
        complete,
        unfinished: false,
        deadline_exceeded: false,
        on_delete: false,
        record: Record::default(),
        attempts: Attempts::default(),
        last_rollout: None,
        pins: Pins::default(),
        containers: vec![decide::Container {
            name: "app".to_owned(),
            image: "ghcr.io/team/web:main".to_owned(),
            exempt: None,
            tag: Ok(digest('b')),
            since: None,
            remembered: None,
            pinned: None,
            rolled_back: false,
            filled_in: false,
            pods: Vec::new(),
        }],
        template_containers: vec!["app".to_owned()],
    })
}

fn decision(state: State, reason: Option<Reason>) -> Decision {
    Decision {
        state,
        reason,
        container: Some("app".to_owned()),
        stale: false,
        in_flight: false,
        again: None,
        rollout: None,
    }
}

/// What was found out and decided of the Deployment `web/web`.
struct Found {
    decision: Decision,
    observation: Observation,
    moves: Vec<Move>,
    transition: Option<Transition>,
}

/// The workload is in this state, with `app` as the container that decided it.
fn found(state: State, reason: Option<Reason>) -> Found {
    Found {
        decision: decision(state, reason),
        observation: observation(true),
        moves: Vec::new(),
        transition: None,
    }
}

/// What is news of it, if none of its warnings and waits has been reported before.
fn news(course: &mut Course, found: &Found) -> Vec<Notice> {
    let identity = Identity::deployment("web", "web");
    let (decision, observation) = (&found.decision, &found.observation);
    let warnings = messages::warnings(decision, observation);
    let decided = Decided {
        identity: &identity,
        decision,
        observation,
        moves: &found.moves,
        now: Timestamp::UNIX_EPOCH,
    };
    let waits = Reported::default().waiting(&identity, decision);
    let warned: Vec<_> = warnings.iter().collect();
    course.news(&decided, found.transition, waits, &warned)
}

/// The events of a decision.
fn events(course: &mut Course, state: State, reason: Option<Reason>) -> Vec<Event> {
    let notices = news(course, &found(state, reason));
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

fn moved(from: char, to: char) -> Move {
    let build = |letter| Build {
        digest: digest(letter),
        labels: None,
    };
    Move {
        container: "app".to_owned(),
        from: Some(build(from)),
        to: build(to),
        attempt: 1,
    }
}

/// What leads to an event, and to no other.
fn cause(event: Event) -> (Course, Found) {
    let mut course = Course::default();
    let mut found = found(State::UpToDate, Some(Reason::Current));
    match event {
        Event::Started => {
            found.decision = decision(State::RollingOut, Some(Reason::InFlight));
            course.started = Some(Timestamp::UNIX_EPOCH);
        }
        Event::RolledOut => {
            found.transition = Some(Transition::Completed(Duration::from_secs(41)));
        }
        Event::NotConverging => {
            found.decision = decision(State::NotConverging, Some(Reason::ImagePullBackOff));
        }
        Event::Failed => {
            let reason = Reason::ProgressDeadlineExceeded;
            found.decision = decision(State::NotConverging, Some(reason));
        }
        Event::HeldBack => found.decision = decision(State::Held, None),
        Event::Recovered => course.troubled = true,
        Event::CredentialRefused => {
            let failure = failure(Reason::Unauthorized, Some(refused()));
            found.decision = decision(State::Unknown, Some(Reason::Unauthorized));
            found.observation.failures = vec![("app".to_owned(), failure)];
        }
        Event::PinnedDigestGone => {
            found.observation.gone = vec![("app".to_owned(), digest('a'))];
        }
    }
    (course, found)
}

#[test]
fn each_event_of_the_closed_list_has_a_cause() {
    for event in Event::ALL {
        let (mut course, found) = cause(event);
        let notices = news(&mut course, &found);
        let events: Vec<_> = notices.iter().map(|notice| notice.event).collect();
        assert_eq!(events, [event]);
        let is_of = |notice: &Notice| {
            (&*notice.workload.namespace, &*notice.workload.name) == ("web", "web")
        };
        assert!(notices.iter().all(is_of), "{notices:?}");
    }
}

#[test]
fn a_pinned_digest_that_is_gone_is_named_with_its_container() {
    let (mut course, found) = cause(Event::PinnedDigestGone);
    let notices = news(&mut course, &found);
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
    assert_eq!(notice.digests, pinned, "its id is that of what is gone");
}

#[test]
fn a_workload_recovers_once_after_each_trouble() {
    let mut course = Course::default();
    let mut after = |state, reason| events(&mut course, state, reason);
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
    course.refused(&identity, Vec::new(), &record, note, Timestamp::UNIX_EPOCH);
    let recovered = events(&mut course, State::UpToDate, None);
    assert_eq!(recovered, [Event::Recovered]);
}

#[test]
fn a_refused_rollout_names_its_images_and_what_they_were_to_run() {
    let template =
        json!({ "spec": { "containers": [{ "name": "app", "image": "ghcr.io/team/web:main" }] } });
    let template: Template = serde_json::from_value(template).expect("a template");
    let containers = containers(&[moved('a', 'b')], Some(&template));
    let identity = Identity::deployment("web", "web");
    let (record, note) = (Record::default(), "denied by a webhook");
    let notice =
        Course::default().refused(&identity, containers, &record, note, Timestamp::UNIX_EPOCH);
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
fn only_waits_that_may_last_are_reported() {
    let mut course = Course::default();
    let mut held = |state, reason| !events(&mut course, state, reason).is_empty();
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
fn a_refused_credential_is_that_of_the_container_and_other_failures_are_none() {
    let mut found = found(State::Unknown, Some(Reason::Denied));
    found.observation.failures = vec![
        ("side".to_owned(), failure(Reason::Timeout, None)),
        ("app".to_owned(), failure(Reason::Denied, Some(refused()))),
    ];
    let notices = news(&mut Course::default(), &found);
    let [notice] = &*notices else {
        panic!("{notices:?}");
    };
    assert_eq!(notice.event, Event::CredentialRefused);
    assert_eq!(notice.refused, Some(refused()));
}

#[test]
fn a_rollout_that_is_complete_says_how_long_it_took_and_what_runs() {
    let (mut course, mut found) = cause(Event::RolledOut);
    found.moves = vec![moved('a', 'b')];
    let notices = news(&mut course, &found);
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
