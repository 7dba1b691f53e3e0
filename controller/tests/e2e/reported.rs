//! Where people read why a workload is in its state, and that it is the same word everywhere.

use kube_autorollout_core::state::{Reason, State};
use kube_autorollout_testbed::workload::eventually;

use crate::harness::{Controller, SOON, World};

/// The reason of the Event that reports a warning; nothing where a state is no cause for one.
const fn event(state: State, reason: Reason) -> Option<&'static str> {
    match (state, reason) {
        (State::NotConverging, _) => Some("NotConverging"),
        (State::Skipped, Reason::PullPolicy) => Some("ImagePullPolicyNotAlways"),
        // Pods that are about to start, or run what cannot be compared: nobody has to do anything.
        (State::Unknown, Reason::NotStarted) => None,
        (State::Unknown, _) => Some("RegistryCheckFailed"),
        _ => None,
    }
}

/// Waits until a workload's state and reason are reported: in the log, in the metrics and, where it is a warning, in an
/// Event and in a line of that level.
pub(crate) async fn until_reported(
    world: &World,
    controller: &Controller,
    name: &str,
    state: State,
    reason: Reason,
) {
    let workload = format!("/{name} ");
    let decided = [
        "decided",
        &workload,
        &format!("state={state} "),
        &format!("reason=\"{reason}\""),
    ];
    controller.until_logged(&decided).await;
    controller
        .until(&format!("a workload {state}"), |metrics| {
            metrics.states().contains_key(state.as_str())
        })
        .await;
    let Some(event) = event(state, reason) else {
        return;
    };
    let what = format!("an Event {event} with {reason}");
    // The Event of a policy says what to set instead, and not which word we have for it.
    let named = if reason == Reason::PullPolicy {
        "imagePullPolicy"
    } else {
        reason.as_str()
    };
    let reported = eventually(SOON, &what, async || {
        let notes = world.events(name, event).await;
        let note = notes.iter().find(|note| note.contains(named));
        note.cloned().ok_or_else(|| format!("{notes:?}"))
    });
    let note = reported.await.unwrap_or_else(|error| panic!("{error}"));
    let workload = format!("/{name}");
    controller.until_logged(&["WARN", &workload, &note]).await;
}

/// Waits for this many more decisions. No check counts as done while a registry fails.
pub(crate) async fn until_decided(controller: &Controller, times: usize) {
    let decided = || controller.log().matches(" decided ").count();
    let wanted = decided() + times;
    let reached = eventually(SOON, "more decisions", async || {
        let found = decided();
        if found < wanted {
            return Err(format!("{found} of {wanted}"));
        }
        Ok(())
    });
    reached.await.unwrap_or_else(|error| panic!("{error}"));
}
