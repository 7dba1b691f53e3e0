//! The messages of log lines and Events: both have the same text.

mod pins;

use std::{fmt::Write as _, sync::Arc};

use kube_autorollout_core::{
    Digest,
    compare::Verdict,
    decide::{Container, Decision},
    short,
    state::{Reason, State},
};

use super::{
    image_change::{ImageChange, describe},
    recorder,
    warnings::{Topic, Warning},
};
use crate::{
    observe::{observation::Observation, pods::Pod},
    rollout::tracker::StuckRollout,
};

/// The changes of a rollout.
pub(super) fn triggered(changes: &[ImageChange]) -> String {
    let changes = changes.iter().map(|change| {
        let from = change.from.as_ref();
        let from = from.map_or_else(|| "an unknown image".to_owned(), describe);
        let attempt = match change.attempt {
            1 => String::new(),
            attempt => format!(" (attempt {attempt})"),
        };
        format!(
            "container {}: {from} is now {}{attempt}",
            change.container,
            describe(&change.to)
        )
    });
    changes.collect::<Vec<_>>().join("; ")
}

/// Why an outdated workload is not rolled out now.
pub(super) fn delayed(decision: &Decision) -> String {
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
    if let Some(end) = decision.recheck_at {
        // Writing to a String cannot fail.
        let _ = write!(note, " until {end:.0}");
    }
    note
}

/// The versions that the pods run after a rollout. If the tag has moved since, pods that could not start at first have pulled
/// its present digest.
pub(super) fn completed(observation: &Observation, changes: &[ImageChange]) -> String {
    let containers = observation.observed.containers.iter();
    let running = containers.filter_map(|container| {
        let digest = container.tag.as_ref().ok()?;
        let recorded = observation.observed.record.digest(&container.name)?;
        let mut versions = changes.iter().map(|change| &change.to);
        let running = versions
            .find(|version| version.digest == *digest)
            .map_or_else(|| short::digest(digest), describe);
        let mut note = format!("container {} runs {running}", container.name);
        if recorded != digest {
            let _ = write!(note, ", pushed after {}", short::digest(recorded));
        }
        Some(note)
    });
    running.collect::<Vec<_>>().join("; ")
}

/// The warnings about a decision and its observation.
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
    let containers = &observation.observed.containers;
    let unchecked = containers.iter();
    let unchecked = unchecked.filter(|container| container.tag == Err(Reason::PullPolicy));
    let unchecked = unchecked.map(|container| Warning {
        topic: Topic::PullPolicy(container.name.clone()),
        event: Some(recorder::Reason::ImagePullPolicyNotAlways),
        note: format!(
            "container {} is not checked: with its imagePullPolicy a new pod may run the image that its node has; set Always",
            container.name
        ),
    });
    let stuck = (decision.state == State::NotConverging).then(|| Warning {
        topic: Topic::NotConverging(StuckRollout::new(decision, observation)),
        event: Some(recorder::Reason::NotConverging),
        note: not_converging(decision, observation),
    });
    failures
        .chain(containers.iter().filter_map(without_platform))
        .chain(unchecked)
        .chain(pins::warnings(observation))
        .chain(stuck)
        .collect()
}

/// The warning that new pods cannot pull the image, as it does not exist for their platform.
fn without_platform(container: &Container) -> Option<Warning> {
    let reason = Reason::NoMatchingPlatform;
    let mut pods = container.pods.iter();
    let cannot_start = pods.any(|pod| pod.verdict == Verdict::CannotStart(reason));
    cannot_start.then(|| Warning {
        topic: Topic::Registry(reason, container.name.clone()),
        event: Some(recorder::Reason::RegistryCheckFailed),
        note: format!(
            "container {}: {reason}: the image behind the tag has no manifest matching the nodes' platforms (push one, or fix \
             `platforms` in the configuration)",
            container.name
        ),
    })
}

/// The workload's record of the rollout of a container that does not converge.
#[derive(Debug, PartialEq, Eq)]
enum RecordState<'a> {
    /// It is the digest that the tag names.
    Present,
    /// It was removed.
    Lost,
    /// It is a digest that the tag named earlier.
    Outdated(&'a Digest),
}

fn record_state<'a>(decision: &Decision, observation: &'a Observation) -> RecordState<'a> {
    let Some(container) = deciding_container(decision, observation) else {
        return RecordState::Lost;
    };
    let tag = container.tag.as_ref().ok();
    let remembered = container.remembered.as_ref();
    match observation.observed.record.digest(&container.name) {
        // Without a pod the tag is not resolved.
        Some(record) if tag.is_none_or(|tag| tag == record) => RecordState::Present,
        Some(record) if remembered.map(|rollout| &rollout.digest) != tag => {
            RecordState::Outdated(record)
        }
        _ => RecordState::Lost,
    }
}

/// Whether the workload's record of its last rollout was removed.
pub(crate) fn has_lost_record(decision: &Decision, observation: &Observation) -> bool {
    record_state(decision, observation) == RecordState::Lost
}

/// The container that determined the decision.
pub(super) fn deciding_container<'a>(
    decision: &Decision,
    observation: &'a Observation,
) -> Option<&'a Container> {
    let mut containers = observation.observed.containers.iter();
    containers.find(|container| Some(&container.name) == decision.container.as_ref())
}

/// Why a rollout does not converge, and in which pod.
fn not_converging(decision: &Decision, observation: &Observation) -> String {
    let reason = decision.reason.map_or("", Reason::as_str);
    let name = decision.container.as_deref().unwrap_or_default();
    let container = deciding_container(decision, observation);
    let mut note = format!("container {name}: {reason}");
    let pods = &observation.pods;
    let blocking = waiting_pod(name, &pods.blocking);
    if let Some(pod) = waiting_pod(name, &pods.current).or(blocking) {
        // Writing to a String cannot fail.
        let _ = write!(note, " in pod {pod}");
    }
    let target = container.and_then(|container| container.tag.as_ref().ok());
    let target = target.or_else(|| observation.observed.record.digest(name));
    let target = target.map(short::digest).unwrap_or_default();
    let record = record_state(decision, observation);
    if record == RecordState::Lost {
        let manager = observation.template_writer.as_deref();
        let manager = manager.map_or_else(String::new, |manager| {
            format!(" (field manager \"{manager}\")")
        });
        let _ = write!(
            note,
            "; {target} was already rolled out, but the kube-autorollout/digests annotation was removed from the pod \
             template{manager}. Retrying in 1h at the earliest; exclude the annotation in that tool",
        );
        return note;
    }
    let _ = match record {
        RecordState::Outdated(digest) => write!(
            note,
            "; rolled out {}; the tag has since moved to {target}, which pending pods will pull on their next attempt",
            short::digest(digest)
        ),
        _ => write!(
            note,
            "; {target} was rolled out{}",
            attempt_note(decision, observation, name)
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

/// The number of attempts, and whether and when another follows.
fn attempt_note(decision: &Decision, observation: &Observation, container: &str) -> String {
    let attempt = match observation.observed.attempts.count(container) {
        1 => String::new(),
        attempts => format!(" (attempt {attempts})"),
    };
    match decision.recheck_at {
        Some(again) => format!("{attempt} and will be rolled out again at {again:.0}"),
        None => format!("{attempt} and will not be rolled out again"),
    }
}

/// A pod in which the container is waiting.
fn waiting_pod<'a>(container: &str, pods: &'a [Arc<Pod>]) -> Option<&'a str> {
    let waits = |pod: &&Arc<Pod>| {
        let mut containers = pod.containers.iter();
        containers.any(|observed| *observed.spec.name == *container && observed.waiting.is_some())
    };
    pods.iter().find(waits).map(|pod| &*pod.name)
}

/// Advice about a rollout that does not converge.
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
