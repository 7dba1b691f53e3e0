//! What holds for every workload, however odd.

use proptest::prelude::*;

use super::*;

fn letter() -> impl Strategy<Value = char> {
    prop::sample::select(vec!['a', 'b', 'c'])
}

fn any_reason() -> impl Strategy<Value = Reason> {
    prop::sample::select(vec![
        Reason::TagNotFound,
        Reason::Timeout,
        Reason::Denied,
        Reason::NoMatchingPlatform,
    ])
}

fn any_verdict() -> impl Strategy<Value = Verdict> {
    prop_oneof![
        3 => Just(Verdict::Stale),
        2 => prop::sample::select(vec![Reason::Current, Reason::IndexChangedOnly, Reason::SameConfig]).prop_map(Verdict::Current),
        1 => Just(Verdict::NotStarted),
        1 => any_reason().prop_map(Verdict::Unknown),
        1 => Just(Verdict::CannotStart(Reason::UnsupportedMediaType)),
    ]
}

fn any_pod() -> impl Strategy<Value = Running> {
    let any_waiting = prop::sample::select(vec![
        Waiting::InvalidImageName,
        Waiting::ErrImagePull,
        Waiting::ImagePullBackOff,
        Waiting::CrashLoopBackOff,
    ]);
    let any_digest = prop::option::of(letter().prop_map(digest));
    let is_waiting = prop::option::weighted(0.2, any_waiting);
    (
        any_verdict(),
        any_digest,
        prop::bool::weighted(0.8),
        any::<bool>(),
        prop::bool::weighted(0.9),
        is_waiting,
    )
        .prop_map(
            |(verdict, digest, names_tag, ready, pulls_always, waiting)| Running {
                verdict,
                digest,
                names_tag,
                ready,
                pulls_always,
                waiting,
            },
        )
}

/// Not long ago, or yet to come, as clocks are set.
fn any_instant() -> impl Strategy<Value = Timestamp> {
    (-4000..8000_i64).prop_map(|age| now() - SignedDuration::from_secs(age))
}

fn any_container(name: &'static str) -> impl Strategy<Value = Container> {
    let any_exempt = prop::sample::select(vec![Exemption::Pinned, Exemption::Excluded]);
    let any_tag = prop_oneof![
        5 => letter().prop_map(|letter| Ok(digest(letter))),
        1 => any_reason().prop_map(Err),
    ];
    let any_remembered = (letter(), any_instant()).prop_map(|(letter, at)| RecentRollout {
        digest: digest(letter),
        at,
    });
    (
        prop::option::weighted(0.1, any_exempt),
        any_tag,
        prop::option::of(any_instant()),
        prop::option::weighted(0.2, any_remembered),
        prop::collection::vec(any_pod(), 0..4),
        (
            prop::bool::weighted(0.2),
            any::<Option<bool>>(),
            prop::bool::weighted(0.1),
        ),
    )
        .prop_map(
            move |(exempt, tag, since, remembered, pods, pins)| Container {
                image: format!("ghcr.io/team/{name}:main"),
                name: name.to_owned(),
                exempt,
                tag,
                rolled_back: pins.0,
                image_replaced: pins.2,
                pinned: pins.1,
                since,
                remembered,
                pods,
            },
        )
}

fn any_record() -> impl Strategy<Value = Record> {
    let names = prop::sample::select(vec!["web", "proxy", "agent", "gone"]);
    prop::collection::vec((names, letter()), 0..3).prop_map(|entries| record(&entries))
}

fn any_attempts() -> impl Strategy<Value = Attempts> {
    prop::option::of(1..5_u32).prop_map(|attempt| {
        let text = attempt.map(|attempt| format!(r#"{{"web":{attempt}}}"#));
        text.and_then(|text| Attempts::parse(&text))
            .unwrap_or_default()
    })
}

fn any_observed() -> impl Strategy<Value = Observed> {
    let rarely = || prop::bool::weighted(0.1);
    let flags = (
        rarely(),
        rarely(),
        rarely(),
        (any::<bool>(), any::<bool>(), any::<bool>()),
        rarely(),
        rarely(),
    );
    let containers = (
        any_container("web"),
        any_container("proxy"),
        any_container("agent"),
        1..4_usize,
    );
    let past = (
        any_record(),
        any_attempts(),
        prop::option::of(any_instant()),
    );
    (flags, past, containers).prop_map(|(flags, past, (web, proxy, agent, count))| {
        let (record, attempts, last_rollout) = past;
        let (paused, lagging, no_pods, progress, deadline_exceeded, on_delete) = flags;
        let (replacing, complete, unfinished) = progress;
        let containers = [web, proxy, agent];
        Observed {
            paused,
            generation_observed: !lagging,
            wants_pods: !no_pods,
            replacing,
            complete,
            unfinished,
            deadline_exceeded,
            on_delete,
            record,
            attempts,
            last_rollout,
            ..observed(&containers[..count])
        }
    })
}

fn any_settings() -> impl Strategy<Value = Settings> {
    let any_hold = prop::sample::select(vec![Hold::Indefinitely, Hold::Off]);
    prop::option::weighted(0.2, any_hold).prop_map(|hold| Settings { hold, ..settings() })
}

fn any_limits() -> impl Strategy<Value = Policy> {
    let any_length = || (0..8000_u64).prop_map(Duration::from_secs);
    let any_pinning = any::<(bool, bool)>();
    (any_length(), any_length(), any_pinning).prop_map(
        |(settle, min_interval, (budget_spent, pin))| Policy {
            settle,
            min_interval,
            retry_after: [].into(),
            budget_spent,
            pin,
        },
    )
}

/// Without any limit.
fn decided(observed: &Observed, settings: &Settings) -> Decision {
    decide(observed, settings, &Policy::default(), now())
}

/// What a decision rolls out: each container with its digest.
fn rolled_out(decision: &Decision) -> Vec<(String, Digest)> {
    let changes = decision.rollout.iter().flat_map(|rollout| &rollout.changes);
    changes
        .map(|change| (change.container.clone(), change.to.clone()))
        .collect()
}

/// Without any limit, and with rollouts that are repeated.
fn repeating() -> Policy {
    Policy {
        retry_after: [1000, 3000].map(Duration::from_secs).into(),
        pin: true,
        ..Policy::default()
    }
}

proptest! {
    /// However often it is decided, and whatever the pods do meanwhile.
    #[test]
    fn a_digest_is_rolled_out_as_often_as_the_policy_says_and_no_more(
        before in any_observed(),
        (settings, policy) in (any_settings(), Just(repeating())),
        pods in prop::collection::vec(prop::collection::vec(any_pod(), 0..3), 9),
    ) {
        let mut observed = Observed { record: Record::default(), attempts: Attempts::default(), ..before };
        let mut rollouts = 0;
        for (hour, pods) in pods.into_iter().enumerate() {
            let now = now() + SignedDuration::from_hours(i64::try_from(hour).expect("a few hours"));
            for container in &mut observed.containers {
                container.remembered = None;
                container.pods.clone_from(&pods);
            }
            let decision = decide(&observed, &settings, &policy, now);
            if let Some(rollout) = decision.rollout {
                rollouts += i32::from(rollout.changes.iter().any(|change| change.container == "web"));
                observed = Observed {
                    record: rollout.record,
                    attempts: rollout.attempts,
                    last_rollout: Some(now),
                    ..observed
                };
                prop_assert_eq!(decide(&observed, &settings, &policy, now).rollout, None);
            }
        }
        prop_assert!(rollouts <= 3, "{rollouts} rollouts of one digest");
    }

    #[test]
    fn a_rollout_is_never_followed_by_a_second_one(
        before in any_observed(), settings in any_settings(), complete: bool, pods in prop::collection::vec(any_pod(), 0..4),
    ) {
        let Some(rollout) = decided(&before, &settings).rollout else {
            return Ok(());
        };
        prop_assert!(!rollout.changes.is_empty());
        let patched = Observed { record: rollout.record.clone(), complete, ..before };
        prop_assert_eq!(decided(&patched, &settings).rollout, None);
        // Nor later, whatever the new pods do, as long as the tags stay where they are.
        let mut later = patched;
        for container in &mut later.containers {
            if rollout.changes.iter().any(|change| change.container == container.name) {
                container.pods.clone_from(&pods);
            }
        }
        let again = rolled_out(&decided(&later, &settings));
        for change in &rollout.changes {
            prop_assert!(again.iter().all(|(name, _)| *name != change.container), "{again:?}");
        }
    }

    /// An error that becomes another one is not meant: some keep new pods from starting and others do not.
    #[test]
    fn an_answer_that_becomes_an_error_never_adds_a_rollout(
        before in any_observed(),
        (settings, limits) in (any_settings(), any_limits()),
        (which, reason, tag) in (any::<prop::sample::Index>(), any_reason(), any::<bool>()),
    ) {
        let mut failed = before.clone();
        if tag {
            let mut answers: Vec<_> = failed.containers.iter_mut().filter(|container| container.tag.is_ok()).collect();
            if answers.is_empty() {
                return Ok(());
            }
            let container = which.get_mut(&mut answers);
            container.tag = Err(reason);
        } else {
            let pods = failed.containers.iter_mut().flat_map(|container| &mut container.pods);
            let mut answers: Vec<_> = pods.filter(|pod| pod.verdict.doubt().is_none()).collect();
            if answers.is_empty() {
                return Ok(());
            }
            let pod = which.get_mut(&mut answers);
            pod.verdict = Verdict::Unknown(reason);
        }
        let before = rolled_out(&decide(&before, &settings, &limits, now()));
        let after = rolled_out(&decide(&failed, &settings, &limits, now()));
        prop_assert!(after.iter().all(|change| before.contains(change)), "{after:?} was {before:?}");
    }

    #[test]
    fn the_order_of_containers_and_pods_does_not_matter(
        (observed, shuffled) in any_observed().prop_flat_map(|observed| {
            let containers = Just(observed.containers.clone()).prop_shuffle();
            let shuffled = containers.prop_map({
                let observed = observed.clone();
                move |containers| Observed { containers, ..observed.clone() }
            });
            (Just(observed), shuffled)
        }),
        (settings, limits) in (any_settings(), any_limits()),
    ) {
        let mut shuffled = shuffled;
        for container in &mut shuffled.containers {
            container.pods.reverse();
        }
        let expected = decide(&observed, &settings, &limits, now());
        prop_assert_eq!(decide(&shuffled, &settings, &limits, now()), expected);
    }

    #[test]
    fn only_stale_containers_that_pull_are_rolled_out(observed in any_observed(), settings in any_settings()) {
        let decision = decided(&observed, &settings);
        if let Some(rollout) = &decision.rollout {
            prop_assert!(!observed.paused && observed.generation_observed && !observed.on_delete);
            prop_assert!(!settings.is_held(now()));
            for change in &rollout.changes {
                let container = observed.containers.iter().find(|container| container.name == change.container);
                let container = container.expect("a container of the workload");
                prop_assert!(container.exempt.is_none());
                prop_assert!(!container.rolled_back || settings.hold == Some(Hold::Off));
                prop_assert!(container.pods.iter().all(|pod| pod.pulls_always));
                prop_assert!(container.pods.iter().any(|pod| pod.verdict == Verdict::Stale));
                prop_assert_eq!(container.tag.as_ref(), Ok(&change.to));
                prop_assert_ne!(observed.record.digest(&container.name), Some(&change.to));
                prop_assert_eq!(rollout.record.digest(&container.name), Some(&change.to));
            }
        }
        let reasonless = matches!(decision.state, State::Held | State::Paused) && decision.reason != Some(Reason::RolledBack);
        prop_assert_eq!(decision.reason.is_none(), reasonless, "{:?}", decision);
    }

    /// Whether and what is rolled out does not rest on pins, and each container that is rolled out is pinned to what it is
    /// rolled out to, unless admission fills in its image.
    #[test]
    fn pins_neither_add_nor_stop_a_rollout(
        observed in any_observed(), settings in any_settings(), limits in any_limits(), pinned: bool,
    ) {
        let pinning = Policy { pin: true, ..limits.clone() };
        let with = decide(&observed, &settings, &pinning, now());
        let mut others = observed.clone();
        others.pins = pins::pins(&[("web", 'c'), ("proxy", 'b')]);
        for container in &mut others.containers {
            container.pinned = Some(pinned);
        }
        let without = decide(&others, &settings, &Policy { pin: false, ..limits }, now());
        prop_assert_eq!(rolled_out(&with), rolled_out(&without));
        if let Some(rollout) = &with.rollout {
            for change in &rollout.changes {
                let pinned = rollout.pins.digest(&change.container, &pins::image(&change.container));
                let mut containers = observed.containers.iter();
                let image_replaced = containers.any(|container| container.name == change.container && container.image_replaced);
                prop_assert_eq!(pinned.as_ref(), (!image_replaced).then_some(&change.to));
            }
        }
    }

    #[test]
    fn a_brake_puts_a_rollout_off_and_changes_nothing_else(
        observed in any_observed(), settings in any_settings(), limits in any_limits(),
    ) {
        let unlimited = Policy { pin: limits.pin, ..Policy::default() };
        let free = decide(&observed, &settings, &unlimited, now());
        let braked = decide(&observed, &settings, &limits, now());
        if braked.state == free.state {
            prop_assert_eq!(braked, free);
        } else {
            prop_assert!(free.rollout.is_some());
            prop_assert_eq!((braked.state, braked.stale), (State::Outdated, true));
            prop_assert_eq!(braked.rollout, None);
            let is_timed = matches!(braked.reason, Some(Reason::Settling | Reason::MinInterval));
            prop_assert_eq!(braked.recheck_at.is_some(), is_timed);
            prop_assert!(braked.recheck_at.is_none_or(|again| again > now()));
        }
    }

    #[test]
    fn without_limits_it_does_not_matter_when_anything_was(observed in any_observed(), settings in any_settings()) {
        let mut timeless = observed.clone();
        timeless.last_rollout = None;
        for container in &mut timeless.containers {
            container.since = None;
        }
        prop_assert_eq!(decided(&observed, &settings), decided(&timeless, &settings));
    }
}
