use std::time::Duration;

use kube_autorollout_core::{
    decide::Observed,
    pins::Pins,
    record::{Attempts, Record},
};
use kube_autorollout_notifications::Refused;

use super::*;
use crate::{registry::failure::Failure, rollout::tracker::Stuck};

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

fn stuck(reason: Reason) -> Warning {
    Warning {
        topic: Topic::NotConverging(Stuck {
            reason,
            digest: digest('b').to_string(),
            attempt: 1,
            container: "app".to_owned(),
        }),
        event: None,
        note: "a note".to_owned(),
    }
}

/// The events of a decision.
fn events(
    course: &mut Course,
    state: State,
    reason: Option<Reason>,
    warned: &[&Warning],
) -> Vec<Event> {
    let (decision, observation) = (decision(state, reason), observation(true));
    let decided = Decided {
        identity: &Identity::deployment("web", "web"),
        decision: &decision,
        observation: &observation,
        moves: &[],
        now: Timestamp::UNIX_EPOCH,
    };
    let waits = matches!(state, State::Held | State::Outdated);
    let notices = course.news(&decided, None, waits, warned);
    notices.iter().map(|notice| notice.event).collect()
}

#[test]
fn a_workload_recovers_once_after_each_trouble() {
    let mut course = Course::default();
    let mut after = |state, warned: &[&Warning]| events(&mut course, state, None, warned);
    assert_eq!(after(State::UpToDate, &[]), []);
    let crashes = stuck(Reason::CrashLoopBackOff);
    assert_eq!(
        after(State::NotConverging, &[&crashes]),
        [Event::NotConverging]
    );
    assert_eq!(after(State::RollingOut, &[]), []);
    let late = stuck(Reason::ProgressDeadlineExceeded);
    assert_eq!(after(State::NotConverging, &[&late]), [Event::Failed]);
    assert_eq!(after(State::UpToDate, &[]), [Event::Recovered]);
    assert_eq!(after(State::UpToDate, &[]), []);
    let identity = Identity::deployment("web", "web");
    let refused = course.refused(&identity, "denied by a webhook", Timestamp::UNIX_EPOCH);
    assert_eq!(
        (refused.event, refused.reason),
        (Event::Failed, Some("ApiServer"))
    );
    let recovered = events(&mut course, State::UpToDate, None, &[]);
    assert_eq!(recovered, [Event::Recovered]);
}

#[test]
fn only_waits_that_may_last_are_reported() {
    let mut course = Course::default();
    let mut held = |state, reason| !events(&mut course, state, reason, &[]).is_empty();
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
    let refused = Refused {
        registry: "ghcr.io".to_owned(),
        credential: 1,
    };
    let failure = |reason, refused| Failure {
        reason,
        detail: String::new(),
        advice: "",
        transient: false,
        retry_after: None,
        refused,
    };
    let mut observation = observation(true);
    observation.failures = vec![
        ("side".to_owned(), failure(Reason::Timeout, None)),
        (
            "app".to_owned(),
            failure(Reason::Denied, Some(refused.clone())),
        ),
    ];
    let decision = decision(State::Unknown, Some(Reason::Denied));
    let decided = Decided {
        identity: &Identity::deployment("web", "web"),
        decision: &decision,
        observation: &observation,
        moves: &[],
        now: Timestamp::UNIX_EPOCH,
    };
    let warning = |reason, container: &str| Warning {
        topic: Topic::Registry(reason, container.to_owned()),
        event: None,
        note: String::new(),
    };
    let warned = [
        warning(Reason::Timeout, "side"),
        warning(Reason::Denied, "app"),
    ];
    let warned: Vec<_> = warned.iter().collect();
    let notices = Course::default().news(&decided, None, false, &warned);
    let [notice] = &*notices else {
        panic!("{notices:?}");
    };
    assert_eq!(notice.event, Event::CredentialRefused);
    assert_eq!(notice.refused, Some(refused));
}

#[test]
fn a_rollout_that_is_complete_says_how_long_it_took_and_what_runs() {
    let (decision, observation) = (decision(State::UpToDate, None), observation(true));
    let decided = Decided {
        identity: &Identity::deployment("web", "web"),
        decision: &decision,
        observation: &observation,
        moves: &[Move {
            container: "app".to_owned(),
            from: Some(Build {
                digest: digest('a'),
                labels: None,
            }),
            to: Build {
                digest: digest('b'),
                labels: None,
            },
            attempt: 1,
        }],
        now: Timestamp::UNIX_EPOCH,
    };
    let took = Duration::from_secs(41);
    let completed = Some(Transition::Completed(took));
    let notices = Course::default().news(&decided, completed, false, &[]);
    let [notice] = &*notices else {
        panic!("{notices:?}");
    };
    assert_eq!((notice.event, notice.took), (Event::RolledOut, Some(took)));
    let [container] = &*notice.containers else {
        panic!("{notice:?}");
    };
    assert_eq!(container.image, "ghcr.io/team/web:main");
    assert_eq!(
        container.from.as_ref().map(|from| &from.digest),
        Some(&digest('a'))
    );
    assert_eq!(
        container.to.as_ref().map(|to| &to.digest),
        Some(&digest('b'))
    );
}
