//! The status that the kubelet writes for a pod.

use jiff::Timestamp;
use k8s_openapi::{
    api::core::v1::{
        ContainerState, ContainerStateRunning, ContainerStateTerminated, ContainerStateWaiting,
        ContainerStatus, HostIP, PodCondition, PodIP, PodStatus,
    },
    apimachinery::pkg::apis::meta::v1::Time,
};

use super::{
    container::{Container, Ended, Role, State},
    lifecycle::Pod,
};
use crate::image::digest_of;
use crate::node::images::{
    failure::PullFailure,
    runtime::Runtime,
    store::{ImageStore, Provided},
};

/// The parts of a pod's status beside its containers.
#[derive(Debug, Clone)]
pub(crate) struct Identity {
    pub(crate) uid: String,
    /// `name_namespace(uid)`, as the kubelet's messages name a pod.
    pub(crate) title: String,
    pub(crate) pod_ip: String,
    pub(crate) host_ip: String,
    pub(crate) runtime: Runtime,
}

/// The status of a pod at this time; conditions that did not change keep the time of `previous`.
pub(crate) fn status(
    pod: &Pod,
    identity: &Identity,
    images: &ImageStore,
    previous: Option<&PodStatus>,
    now: Timestamp,
) -> PodStatus {
    let initialized = pod.is_initialized();
    let statuses = |regular: bool| -> Vec<ContainerStatus> {
        pod.containers
            .iter()
            .filter(|container| (container.role == Role::Regular) == regular)
            .map(|container| container_status(container, identity, images, initialized, now))
            .collect()
    };
    let init = statuses(false);
    PodStatus {
        phase: Some(phase(pod, initialized).to_owned()),
        conditions: Some(conditions(pod, initialized, previous, now)),
        host_ip: Some(identity.host_ip.clone()),
        host_ips: Some(vec![HostIP {
            ip: identity.host_ip.clone(),
        }]),
        pod_ip: Some(identity.pod_ip.clone()),
        pod_ips: Some(vec![PodIP {
            ip: identity.pod_ip.clone(),
        }]),
        start_time: Some(Time(pod.started)),
        init_container_statuses: (!init.is_empty()).then_some(init),
        container_statuses: Some(statuses(true)),
        ..PodStatus::default()
    }
}

/// The rule of `getPhase`
/// (<https://github.com/kubernetes/kubernetes/blob/master/pkg/kubelet/kubelet_pods.go>).
fn phase(pod: &Pod, initialized: bool) -> &'static str {
    match pod.outcome() {
        Some(0) => return "Succeeded",
        Some(_) => return "Failed",
        None => {}
    }
    let all_started = pod.containers.iter().all(|container| container.starts > 0);
    if initialized && all_started {
        "Running"
    } else {
        "Pending"
    }
}

fn conditions(
    pod: &Pod,
    initialized: bool,
    previous: Option<&PodStatus>,
    now: Timestamp,
) -> Vec<PodCondition> {
    let unready = names(pod, |container| {
        container.role != Role::Init && !container.is_ready(now)
    });
    let incomplete = names(pod, |container| {
        container.role != Role::Regular && !container.lets_next_start()
    });
    let ready = problem(
        &unready,
        "ContainersNotReady",
        "containers with unready status",
    );
    let init = problem(
        &incomplete,
        "ContainersNotInitialized",
        "containers with incomplete status",
    );
    let init = init.filter(|_| !initialized);
    [
        ("PodReadyToStartContainers", None),
        ("Initialized", init),
        ("Ready", ready.clone()),
        ("ContainersReady", ready),
        ("PodScheduled", None),
    ]
    .into_iter()
    .map(|(kind, problem)| condition(kind, problem, previous, now))
    .collect()
}

fn names(pod: &Pod, which: impl Fn(&Container) -> bool) -> Vec<&str> {
    let containers = pod.containers.iter().filter(|container| which(container));
    containers
        .map(|container| container.name.as_str())
        .collect()
}

/// The reason and message of a condition that these containers keep from being true.
fn problem(
    containers: &[&str],
    reason: &'static str,
    text: &str,
) -> Option<(&'static str, String)> {
    let message = || format!("{text}: [{}]", containers.join(" "));
    (!containers.is_empty()).then(|| (reason, message()))
}

fn condition(
    kind: &str,
    problem: Option<(&'static str, String)>,
    previous: Option<&PodStatus>,
    now: Timestamp,
) -> PodCondition {
    let status = if problem.is_none() { "True" } else { "False" };
    let (reason, message) = problem.unzip();
    let since = previous
        .and_then(|previous| previous.conditions.as_ref())
        .and_then(|conditions| conditions.iter().find(|condition| condition.type_ == kind))
        .filter(|condition| condition.status == status)
        .and_then(|condition| condition.last_transition_time.clone());
    PodCondition {
        type_: kind.to_owned(),
        status: status.to_owned(),
        reason: reason.map(ToOwned::to_owned),
        message,
        last_transition_time: Some(since.unwrap_or(Time(now))),
        ..PodCondition::default()
    }
}

fn container_status(
    container: &Container,
    identity: &Identity,
    images: &ImageStore,
    initialized: bool,
    now: Timestamp,
) -> ContainerStatus {
    let runs = container.runs.as_ref();
    let image = runs.map(|runs| images.image_name(&runs.facts.config));
    let found_now = |runs: &Provided| images.image_id(&runs.facts.config);
    let image_id = runs.map(|runs| runs.image_id.clone().unwrap_or_else(|| found_now(runs)));
    let (state, current) = container_state(container, identity, initialized, now);
    let last = container
        .ended
        .as_ref()
        .filter(|_| !current)
        .map(|ended| terminated(ended, container, identity));
    let is_running = matches!(container.state, State::Running { .. });
    ContainerStatus {
        name: container.name.clone(),
        image: image.unwrap_or_else(|| container.image.clone()),
        image_id: image_id.unwrap_or_default(),
        container_id: (container.starts > 0)
            .then(|| container_id(container, identity, container.starts)),
        ready: container.is_ready(now),
        started: Some(is_running),
        restart_count: i32::try_from(container.starts.saturating_sub(1)).unwrap_or(i32::MAX),
        state: Some(state),
        last_state: last,
        ..ContainerStatus::default()
    }
}

/// The state to show, and whether it is the end of the last process.
fn container_state(
    container: &Container,
    identity: &Identity,
    initialized: bool,
    now: Timestamp,
) -> (ContainerState, bool) {
    let creating = match (container.role, initialized) {
        (Role::Regular, true) => "ContainerCreating",
        _ => "PodInitializing",
    };
    match (&container.state, &container.ended) {
        (State::Waiting | State::Starting { .. } | State::Finished, Some(ended)) => {
            (terminated(ended, container, identity), true)
        }
        (State::Waiting | State::Starting { .. } | State::Finished, None) => {
            (waiting(creating, None), false)
        }
        (State::Running { since, .. }, _) => {
            let running = ContainerStateRunning {
                started_at: Some(Time(*since)),
            };
            let state = ContainerState {
                running: Some(running),
                ..ContainerState::default()
            };
            (state, false)
        }
        (State::BackingOff { .. }, _) => {
            let message = format!(
                "back-off restarting failed container={} pod={}",
                container.name, identity.title
            );
            (waiting("CrashLoopBackOff", Some(message)), false)
        }
        (State::Unpullable { failure, quiet, .. }, _) => {
            (unpullable(container, failure, *quiet <= now), false)
        }
    }
}

fn unpullable(container: &Container, failure: &PullFailure, waits: bool) -> ContainerState {
    if waits && failure.reason == PullFailure::ERR_IMAGE_PULL {
        let message = format!(
            "Back-off pulling image \"{}\": {}: {}",
            container.image, failure.reason, failure.message
        );
        return waiting("ImagePullBackOff", Some(message));
    }
    waiting(failure.reason, Some(failure.message.clone()))
}

fn waiting(reason: &str, message: Option<String>) -> ContainerState {
    ContainerState {
        waiting: Some(ContainerStateWaiting {
            reason: Some(reason.to_owned()),
            message,
        }),
        ..ContainerState::default()
    }
}

fn terminated(ended: &Ended, container: &Container, identity: &Identity) -> ContainerState {
    let reason = if ended.exit_code == 0 {
        "Completed"
    } else {
        "Error"
    };
    ContainerState {
        terminated: Some(ContainerStateTerminated {
            container_id: Some(container_id(container, identity, ended.run)),
            exit_code: ended.exit_code,
            reason: Some(reason.to_owned()),
            started_at: Some(Time(ended.since)),
            finished_at: Some(Time(ended.at)),
            ..ContainerStateTerminated::default()
        }),
        ..ContainerState::default()
    }
}

/// An identifier of the right shape: the runtime's name and 64 hexadecimal digits.
fn container_id(container: &Container, identity: &Identity, run: u32) -> String {
    let seed = format!("{}/{}/{run}", identity.uid, container.name);
    let scheme = identity.runtime.scheme();
    format!("{scheme}://{}", digest_of(seed.as_bytes()).digest())
}

#[cfg(test)]
mod tests;
