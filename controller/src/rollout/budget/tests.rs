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
        recheck_at: None,
        rollout: None,
    }
}

fn rolling_out() -> Decision {
    decision(State::RollingOut, Reason::InFlight)
}

fn waiting() -> Decision {
    decision(State::Outdated, Reason::WaitingForBudget)
}

/// A budget, and the reconciles that it triggers.
struct Scenario {
    budget: Budget,
    triggered: BoxStream<'static, ObjectRef<Object>>,
}

impl Scenario {
    fn limit(limit: usize) -> Self {
        let scenario = Self::unlisted(limit);
        scenario.budget.listed(&watch());
        scenario
    }

    fn unlisted(limit: usize) -> Self {
        let triggers = Arc::new(Triggers::default());
        let [deployment, ..] = Kind::ALL;
        let triggered = triggers.subscribe(deployment, &watch()).boxed();
        Self {
            budget: Budget::new(Some(limit), [watch()], triggers),
            triggered,
        }
    }

    fn rolls_out(&self, name: &str, outdated: i64) -> bool {
        rolls_out(&self.budget, name, outdated)
    }

    fn ends(&self, name: &str, state: State, reason: Reason) {
        self.budget
            .decided(&workload(name), &decision(state, reason));
    }

    fn triggered(&mut self) -> Vec<String> {
        let mut names = Vec::new();
        while let Some(Some(identity)) = self.triggered.next().now_or_never() {
            names.push(identity.name.clone());
        }
        names.sort();
        names
    }
}

/// Takes and keeps a slot for this workload, outdated since that time; returns whether there was one.
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
    let mut scenario = Scenario::limit(1);
    assert!(scenario.rolls_out("first", 5));
    for (name, outdated) in [("late", 9), ("early", 1), ("middle", 4)] {
        assert!(!scenario.rolls_out(name, outdated));
    }
    for (before, next, outdated) in [
        ("first", "early", 1),
        ("early", "middle", 4),
        ("middle", "late", 9),
    ] {
        assert_eq!(scenario.triggered(), [""; 0]);
        scenario.ends(before, State::UpToDate, Reason::Current);
        assert_eq!(scenario.triggered(), [next]);
        assert!(!scenario.rolls_out("new", 10), "before its turn");
        assert!(scenario.rolls_out(next, outdated));
    }
}

#[test]
fn a_complete_or_stuck_rollout_releases_its_slot() {
    for (state, reason) in [
        (State::UpToDate, Reason::Current),
        (State::NotConverging, Reason::CrashLoopBackOff),
        (State::Skipped, Reason::NoPods),
        (State::Unknown, Reason::NotStarted),
        (State::Outdated, Reason::Settling),
    ] {
        let mut scenario = Scenario::limit(1);
        assert!(scenario.rolls_out("web", 0) && !scenario.rolls_out("next", 0));
        scenario.budget.decided(&workload("web"), &rolling_out());
        assert_eq!(scenario.triggered(), [""; 0], "it is in flight");
        scenario.ends("web", state, reason);
        assert_eq!(scenario.triggered(), ["next"], "{state}");
        assert!(scenario.rolls_out("next", 0));
    }
    let mut scenario = Scenario::limit(1);
    assert!(scenario.rolls_out("web", 0) && !scenario.rolls_out("next", 0));
    scenario.budget.forget(&workload("web"));
    assert_eq!(scenario.triggered(), ["next"]);
}

#[test]
fn a_slot_without_a_rollout_is_released_on_drop() {
    let mut scenario = Scenario::limit(1);
    let slot = scenario.budget.take(&workload("web"), second(0), second(0));
    assert!(!scenario.rolls_out("next", 0));
    drop(slot);
    assert_eq!(scenario.triggered(), ["next"]);
    assert!(scenario.rolls_out("next", 0));
}

#[test]
fn a_workload_that_leaves_the_queue_blocks_no_other() {
    let mut scenario = Scenario::limit(2);
    assert!(scenario.rolls_out("one", 0) && scenario.rolls_out("two", 0));
    for (name, outdated) in [("a", 1), ("b", 2), ("c", 3), ("d", 4)] {
        assert!(!scenario.rolls_out(name, outdated));
    }
    scenario.ends("one", State::UpToDate, Reason::Current);
    scenario.ends("two", State::UpToDate, Reason::Current);
    assert_eq!(scenario.triggered(), ["a", "b"]);
    scenario.budget.reconcile_failed(&workload("b"), second(0));
    assert_eq!(scenario.triggered(), ["c"]);
    scenario.ends("a", State::UpToDate, Reason::Current);
    assert_eq!(scenario.triggered(), ["d"]);
    assert!(scenario.rolls_out("d", 4) && scenario.rolls_out("c", 3));
}

#[test]
fn a_stuck_rollout_is_replaced_in_its_own_slot() {
    let mut scenario = Scenario::limit(1);
    assert!(scenario.rolls_out("web", 0) && !scenario.rolls_out("next", 0));
    let slot = scenario.budget.take(&workload("web"), second(0), second(0));
    drop(slot.expect("its own"));
    assert_eq!(
        scenario.triggered(),
        [""; 0],
        "the rollout before is still in flight"
    );
    assert!(!scenario.rolls_out("next", 0));
}

#[test]
fn no_slot_is_granted_before_all_lists_and_rollouts_in_flight_count() {
    let mut scenario = Scenario::unlisted(2);
    scenario
        .budget
        .seen(&workload("ours"), Some(second(1)), true);
    scenario
        .budget
        .seen(&workload("done"), Some(second(1)), false);
    scenario.budget.seen(&workload("theirs"), None, true);
    assert!(!scenario.rolls_out("web", 0) && !scenario.rolls_out("next", 1));
    assert_eq!(scenario.triggered(), [""; 0]);
    scenario.budget.listed(&watch());
    assert_eq!(scenario.triggered(), ["web"]);
    assert!(scenario.rolls_out("web", 0) && !scenario.rolls_out("next", 1));
    scenario.ends("ours", State::UpToDate, Reason::Current);
    assert_eq!(scenario.triggered(), ["next"]);
}

#[test]
fn an_invalid_workload_releases_its_slot_and_events_of_the_same_rollout_take_none() {
    let scenario = Scenario::limit(1);
    let web = workload("web");
    scenario.budget.seen(&web, Some(second(1)), true);
    scenario.budget.release(&web);
    scenario.budget.seen(&web, Some(second(1)), true);
    assert!(scenario.rolls_out("api", 0));
}

#[test]
fn the_rollout_of_another_replica_counts_from_when_it_is_seen() {
    let scenario = Scenario::limit(1);
    let web = workload("web");
    scenario.budget.seen(&web, Some(second(1)), false);
    scenario.budget.seen(&web, Some(second(1)), true); // the user's own: ours was before
    assert!(scenario.rolls_out("one", 0));
    scenario.ends("one", State::UpToDate, Reason::Current);
    scenario.budget.seen(&web, Some(second(2)), true);
    assert!(!scenario.rolls_out("two", 0));
}

#[test]
fn a_workload_whose_reconciles_fail_keeps_its_slot_until_the_progress_deadline() {
    let mut scenario = Scenario::limit(1);
    assert!(scenario.rolls_out("web", 0) && !scenario.rolls_out("next", 0));
    scenario
        .budget
        .reconcile_failed(&workload("web"), second(599));
    assert_eq!(scenario.triggered(), [""; 0]);
    scenario
        .budget
        .reconcile_failed(&workload("web"), second(600));
    assert_eq!(scenario.triggered(), ["next"]);
}

#[test]
fn never_more_than_the_limit_in_any_order_of_requests() {
    let budget = Scenario::limit(3).budget;
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
