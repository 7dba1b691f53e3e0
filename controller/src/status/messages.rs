//! What people read: one sentence for the log and the Event alike.

mod pins;

use std::{fmt::Write as _, sync::Arc};

use kube_autorollout_core::{
    Digest,
    compare::Verdict,
    decide::{Container, Decision},
    short,
    state::{Reason, State},
};

use super::build::Move;
use super::recorder;
use super::warnings::{Topic, Warning};
use crate::{
    observe::{observation::Observation, pods::Pod},
    rollout::tracker::Stuck,
};

/// Which containers are rolled out from what to what.
pub(super) fn triggered(moves: &[Move]) -> String {
    let moves = moves.iter().map(|change| {
        let from = change.from.as_ref();
        let from = from.map_or_else(|| "an unknown image".to_owned(), ToString::to_string);
        let attempt = match change.attempt {
            1 => String::new(),
            attempt => format!(" (attempt {attempt})"),
        };
        format!(
            "container {}: {from} is now {}{attempt}",
            change.container, change.to
        )
    });
    moves.collect::<Vec<_>>().join("; ")
}

/// Why a stale workload is not rolled out now.
pub(super) fn waits(decision: &Decision) -> String {
    let container = decision.container.as_deref().unwrap_or_default();
    let why = decision
        .reason
        .map_or(decision.state.as_str(), Reason::as_str);
    if decision.reason == Some(Reason::RolledBack) {
        return format!(
            "not rolled out: container {container}: {why}: {}",
            pins::ROLLED_BACK
        );
    }
    let mut note = format!("not rolled out yet: container {container}: {why}");
    if let Some(end) = decision.again {
        // Writing to a String cannot fail.
        let _ = write!(note, " until {end:.0}");
    }
    note
}

/// Which digests the pods run now, of the containers that were ever rolled out. The tag may have moved on since then, and
/// pods that could not start at first have pulled what it names by now.
pub(super) fn completed(observation: &Observation, moves: &[Move]) -> String {
    let containers = observation.observed.containers.iter();
    let running = containers.filter_map(|container| {
        let digest = container.tag.as_ref().ok()?;
        let recorded = observation.observed.record.digest(&container.name)?;
        let mut builds = moves.iter().map(|change| &change.to);
        let running = builds
            .find(|build| build.digest == *digest)
            .map_or_else(|| short::digest(digest), ToString::to_string);
        let mut note = format!("container {} runs {running}", container.name);
        if recorded != digest {
            let _ = write!(note, ", pushed after {}", short::digest(recorded));
        }
        Some(note)
    });
    running.collect::<Vec<_>>().join("; ")
}

/// What of a decision and of what it rests on people should hear of.
pub(super) fn warnings(decision: &Decision, observation: &Observation) -> Vec<Warning> {
    let failures = observation
        .failures
        .iter()
        .map(|(container, failure)| Warning {
            topic: Topic::Registry(failure.reason, container.clone()),
            event: Some(recorder::Reason::RegistryCheckFailed),
            note: format!(
                "container {container}: {}: {} ({})",
                failure.reason, failure.detail, failure.advice
            ),
        });
    let containers = observation.observed.containers.iter();
    let unchecked = containers.filter(|container| container.tag == Err(Reason::PullPolicy));
    let unchecked = unchecked.map(|container| Warning {
        topic: Topic::PullPolicy(container.name.clone()),
        event: Some(recorder::Reason::ImagePullPolicyNotAlways),
        note: format!(
            "container {} is not checked: with its imagePullPolicy a new pod may run the image that its node has; set Always",
            container.name
        ),
    });
    let stuck = (decision.state == State::NotConverging).then(|| stuck(decision, observation));
    let missing = observation.observed.containers.iter();
    let missing = missing.filter(|container| lacks_platform(container));
    failures
        .chain(missing.map(without_platform))
        .chain(unchecked)
        .chain(pins::warnings(observation))
        .chain(stuck)
        .collect()
}

/// Whether new pods could not pull the image, as it is not there for their platform.
fn lacks_platform(container: &Container) -> bool {
    let lacking = Verdict::CannotStart(Reason::NoMatchingPlatform);
    container.pods.iter().any(|pod| pod.verdict == lacking)
}

fn without_platform(container: &Container) -> Warning {
    let reason = Reason::NoMatchingPlatform;
    Warning {
        topic: Topic::Registry(reason, container.name.clone()),
        event: Some(recorder::Reason::RegistryCheckFailed),
        note: format!(
            "container {}: {reason}: the image behind the tag has no manifest matching the nodes' platforms (push one, or fix \
             `platforms` in the configuration)",
            container.name
        ),
    }
}

fn stuck(decision: &Decision, observation: &Observation) -> Warning {
    Warning {
        topic: Topic::NotConverging(Stuck::of(decision, observation)),
        event: Some(recorder::Reason::NotConverging),
        note: not_converging(decision, observation),
    }
}

/// What was rolled out, of a container that does not converge.
#[derive(Debug, PartialEq, Eq)]
enum Rolled<'a> {
    /// What its tag names, by the workload's own account.
    Recorded,
    /// The same, as we remember it, and the workload does not say so any more.
    Lost,
    /// What its tag named before.
    Before(&'a Digest),
}

fn record<'a>(decision: &Decision, observation: &'a Observation) -> Rolled<'a> {
    let Some(container) = decided_by(decision, observation) else {
        return Rolled::Lost;
    };
    let tag = container.tag.as_ref().ok();
    let remembered = container.remembered.as_ref();
    match observation.observed.record.digest(&container.name) {
        // Without a pod the tag is not asked for.
        Some(record) if tag.is_none_or(|tag| tag == record) => Rolled::Recorded,
        Some(record) if remembered.map(|rollout| &rollout.digest) != tag => Rolled::Before(record),
        _ => Rolled::Lost,
    }
}

/// Whether the workload has lost the record of what it was rolled out to.
pub(crate) fn has_lost_record(decision: &Decision, observation: &Observation) -> bool {
    record(decision, observation) == Rolled::Lost
}

/// The container that decided it.
fn decided_by<'a>(decision: &Decision, observation: &'a Observation) -> Option<&'a Container> {
    let mut containers = observation.observed.containers.iter();
    containers.find(|container| Some(&container.name) == decision.container.as_ref())
}

/// Why a rollout does not converge, and in which pod it shows.
fn not_converging(decision: &Decision, observation: &Observation) -> String {
    let reason = decision.reason.map_or("", Reason::as_str);
    let name = decision.container.as_deref().unwrap_or_default();
    let container = decided_by(decision, observation);
    let mut note = format!("container {name}: {reason}");
    let pods = &observation.pods;
    let blocking = witness(name, &pods.blocking);
    if let Some(pod) = witness(name, &pods.current).or(blocking) {
        // Writing to a String cannot fail.
        let _ = write!(note, " in pod {pod}");
    }
    let target = container.and_then(|container| container.tag.as_ref().ok());
    let target = target.or_else(|| observation.observed.record.digest(name));
    let target = target.map(short::digest).unwrap_or_default();
    let record = record(decision, observation);
    if record == Rolled::Lost {
        let writer = observation.template_writer.as_deref();
        let writer = writer.map_or_else(String::new, |writer| {
            format!(" (field manager \"{writer}\")")
        });
        let _ = write!(
            note,
            "; {target} was already rolled out, but the kube-autorollout/digests annotation was removed from the pod \
             template{writer}. Retrying in 1h at the earliest; exclude the annotation in that tool",
        );
        return note;
    }
    let _ = match record {
        Rolled::Before(digest) => write!(
            note,
            "; rolled out {}; the tag has since moved to {target}, which pending pods will pull on their next attempt",
            short::digest(digest)
        ),
        _ => write!(
            note,
            "; {target} was rolled out{}",
            repetition(decision, observation, name)
        ),
    };
    if let Some(advice) = decision.reason.and_then(|reason| advice(reason, container)) {
        let _ = write!(note, ". {advice}");
    }
    if let Some(pod) = blocking {
        let _ = write!(
            note,
            ". Pod {pod} of a previous revision blocks the rolling update until it is Ready; delete it if it cannot recover"
        );
    }
    note
}

/// How often a digest was rolled out, and whether and when that is repeated.
fn repetition(decision: &Decision, observation: &Observation, container: &str) -> String {
    let attempt = match observation.observed.attempts.of(container) {
        1 => String::new(),
        attempts => format!(" (attempt {attempts})"),
    };
    match decision.again {
        Some(again) => format!("{attempt} and will be rolled out again at {again:.0}"),
        None => format!("{attempt} and will not be rolled out again"),
    }
}

/// One of the pods in which the container waits, if it does.
fn witness<'a>(container: &str, pods: &'a [Arc<Pod>]) -> Option<&'a str> {
    let waits = |pod: &&Arc<Pod>| {
        let mut containers = pod.containers.iter();
        containers.any(|found| *found.spec.name == *container && found.waiting.is_some())
    };
    pods.iter().find(waits).map(|pod| &*pod.name)
}

/// What to do about a rollout that does not converge.
fn advice(reason: Reason, container: Option<&Container>) -> Option<String> {
    let advice = match reason {
        Reason::ErrImagePull | Reason::ImagePullBackOff => {
            "The nodes cannot pull the image: see the Events of the pod; the kubelet tries again by itself"
        }
        Reason::CrashLoopBackOff => {
            "The new image crashes: see the log of the pod, and push a fixed image or undo the rollout"
        }
        Reason::ProgressDeadlineExceeded => {
            "New pods were not created or did not become ready in time: see the Events of the ReplicaSet or workload that \
             creates them, and their own Events and logs"
        }
        Reason::PullPolicy => {
            "Set imagePullPolicy: Always, or the nodes go on running the image they have"
        }
        Reason::RuntimeReportsAlias => {
            let reported = container?.pods.iter().find_map(|pod| pod.digest.as_ref())?;
            return Some(format!(
                "The pods report {}: their nodes pull from a mirror that is behind, or know the same image by another digest",
                short::digest(reported)
            ));
        }
        _ => return None,
    };
    Some(advice.to_owned())
}

#[cfg(test)]
mod tests;
