use futures::{FutureExt as _, StreamExt as _, stream::BoxStream};
use jiff::SignedDuration;
use kube::runtime::reflector::ObjectRef;

use kube_autorollout_core::state::State;

use super::*;
use crate::workload::{Kind, Object};

fn watch() -> Watch {
    ("Deployment", None)
}

fn workload(name: &str) -> Identity {
    Identity::deployment("default", name)
}

fn second(second: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_secs(second)
}

fn decision(state: State, reason: Reason) -> Decision {
    Decision {
        state,
        reason: Some(reason),
        container: None,
        stale: true,
        in_flight: state == State::RollingOut,
        again: None,
        rollout: None,
    }
}

fn rolling_out() -> Decision {
    decision(State::RollingOut, Reason::InFlight)
}

fn waiting() -> Decision {
    decision(State::Outdated, Reason::WaitingForBudget)
}

/// A budget whose watch has listed, and whom it wakes.
struct Given {
    budget: Budget,
    woken: BoxStream<'static, ObjectRef<Object>>,
}

impl Given {
    fn limit(limit: usize) -> Self {
        let given = Self::unlisted(limit);
        given.budget.listed(&watch());
        given
    }

    fn unlisted(limit: usize) -> Self {
        let triggers = Arc::new(Triggers::default());
        let [deployment, ..] = Kind::ALL;
        let woken = triggers.subscribe(deployment, &watch()).boxed();
        Self {
            budget: Budget::new(Some(limit), [watch()], triggers),
            woken,
        }
    }

    fn rolls_out(&self, name: &str, outdated: i64) -> bool {
        rolls_out(&self.budget, name, outdated)
    }

    fn ends(&self, name: &str, state: State, reason: Reason) {
        self.budget
            .decided(&workload(name), &decision(state, reason));
    }

    fn woken(&mut self) -> Vec<String> {
        let mut names = Vec::new();
        while let Some(Some(identity)) = self.woken.next().now_or_never() {
            names.push(identity.name.clone());
        }
        names.sort();
        names
    }
}

/// Whether a rollout of this workload, outdated since then, may begin now; if so, it does.
fn rolls_out(budget: &Budget, name: &str, outdated: i64) -> bool {
    let slot = budget.take(&workload(name), second(outdated), second(0));
    let begins = slot.is_some();
    if let Some(slot) = slot {
        slot.keep();
    }
    let decision = if begins { rolling_out() } else { waiting() };
    budget.decided(&workload(name), &decision);
    begins
}

#[test]
fn without_a_limit_there_is_always_a_slot() {
    let budget = Budget::new(None, [watch()], Arc::default());
    for number in 0..100 {
        let slot = budget.take(&workload(&number.to_string()), second(0), second(0));
        slot.expect("a slot").keep();
    }
    assert!(
        budget.ledger.lock().taken.is_empty(),
        "what is not needed is not kept"
    );
}

#[test]
fn the_longest_outdated_comes_first_in_any_order_of_requests() {
    let mut given = Given::limit(1);
    assert!(given.rolls_out("first", 5));
    for (name, outdated) in [("late", 9), ("early", 1), ("middle", 4)] {
        assert!(!given.rolls_out(name, outdated));
    }
    for (before, next, outdated) in [
        ("first", "early", 1),
        ("early", "middle", 4),
        ("middle", "late", 9),
    ] {
        assert_eq!(given.woken(), [""; 0]);
        given.ends(before, State::UpToDate, Reason::Current);
        assert_eq!(given.woken(), [next]);
        assert!(!given.rolls_out("new", 10), "before its turn");
        assert!(given.rolls_out(next, outdated));
    }
}

#[test]
fn a_rollout_that_is_over_or_stuck_gives_its_slot_to_the_next() {
    for (state, reason) in [
        (State::UpToDate, Reason::Current),
        (State::NotConverging, Reason::CrashLoopBackOff),
        (State::Skipped, Reason::NoPods),
        (State::Unknown, Reason::NotStarted),
        (State::Outdated, Reason::Settling),
    ] {
        let mut given = Given::limit(1);
        assert!(given.rolls_out("web", 0) && !given.rolls_out("next", 0));
        given.budget.decided(&workload("web"), &rolling_out());
        assert_eq!(given.woken(), [""; 0], "it is in flight");
        given.ends("web", state, reason);
        assert_eq!(given.woken(), ["next"], "{state}");
        assert!(given.rolls_out("next", 0));
    }
    let mut given = Given::limit(1);
    assert!(given.rolls_out("web", 0) && !given.rolls_out("next", 0));
    given.budget.forget(&workload("web"));
    assert_eq!(given.woken(), ["next"]);
}

#[test]
fn a_rollout_that_does_not_begin_gives_its_slot_back() {
    let mut given = Given::limit(1);
    let slot = given.budget.take(&workload("web"), second(0), second(0));
    assert!(!given.rolls_out("next", 0));
    drop(slot);
    assert_eq!(given.woken(), ["next"]);
    assert!(given.rolls_out("next", 0));
}

#[test]
fn who_waits_no_longer_holds_up_nobody() {
    let mut given = Given::limit(2);
    assert!(given.rolls_out("one", 0) && given.rolls_out("two", 0));
    for (name, outdated) in [("a", 1), ("b", 2), ("c", 3), ("d", 4)] {
        assert!(!given.rolls_out(name, outdated));
    }
    given.ends("one", State::UpToDate, Reason::Current);
    given.ends("two", State::UpToDate, Reason::Current);
    assert_eq!(given.woken(), ["a", "b"]);
    given.budget.gave_up(&workload("b"), second(0));
    assert_eq!(given.woken(), ["c"]);
    given.ends("a", State::UpToDate, Reason::Current);
    assert_eq!(given.woken(), ["d"]);
    assert!(given.rolls_out("d", 4) && given.rolls_out("c", 3));
}

#[test]
fn a_stuck_rollout_is_reslotd_in_its_own_slot() {
    let mut given = Given::limit(1);
    assert!(given.rolls_out("web", 0) && !given.rolls_out("next", 0));
    let slot = given.budget.take(&workload("web"), second(0), second(0));
    drop(slot.expect("its own"));
    assert_eq!(
        given.woken(),
        [""; 0],
        "the rollout before is still in flight"
    );
    assert!(!given.rolls_out("next", 0));
}

#[test]
fn nothing_begins_before_everything_was_listed_and_what_is_in_flight_counts() {
    let mut given = Given::unlisted(2);
    given.budget.seen(&workload("ours"), Some(second(1)), true);
    given.budget.seen(&workload("done"), Some(second(1)), false);
    given.budget.seen(&workload("theirs"), None, true);
    assert!(!given.rolls_out("web", 0) && !given.rolls_out("next", 1));
    assert_eq!(given.woken(), [""; 0]);
    given.budget.listed(&watch());
    assert_eq!(given.woken(), ["web"]);
    assert!(given.rolls_out("web", 0) && !given.rolls_out("next", 1));
    given.ends("ours", State::UpToDate, Reason::Current);
    assert_eq!(given.woken(), ["next"]);
}

#[test]
fn the_rollout_of_another_replica_counts_from_when_it_is_seen() {
    let given = Given::limit(1);
    let web = workload("web");
    given.budget.seen(&web, Some(second(1)), false);
    given.budget.seen(&web, Some(second(1)), true); // the user's own: ours was before
    assert!(given.rolls_out("one", 0));
    given.ends("one", State::UpToDate, Reason::Current);
    given.budget.seen(&web, Some(second(2)), true);
    assert!(!given.rolls_out("two", 0));
}

#[test]
fn a_workload_of_which_nothing_can_be_decided_keeps_its_slot_for_a_while_only() {
    let mut given = Given::limit(1);
    assert!(given.rolls_out("web", 0) && !given.rolls_out("next", 0));
    given.budget.gave_up(&workload("web"), second(599));
    assert_eq!(given.woken(), [""; 0]);
    given.budget.gave_up(&workload("web"), second(600));
    assert_eq!(given.woken(), ["next"]);
}

#[test]
fn never_more_than_the_limit_in_any_order_of_requests() {
    let budget = Given::limit(3).budget;
    let begun = std::thread::scope(|scope| {
        let ask = |number: i64| rolls_out(&budget, &number.to_string(), number);
        let asking: Vec<_> = (0..128)
            .map(|number| scope.spawn(move || ask(number)))
            .collect();
        let begun = asking
            .into_iter()
            .map(|thread| thread.join().expect("no panic"));
        begun.filter(|begins| *begins).count()
    });
    assert_eq!(begun, 3);
    assert_eq!(budget.ledger.lock().queue.len(), 125);
}
