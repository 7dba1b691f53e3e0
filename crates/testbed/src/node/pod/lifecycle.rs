//! A pod's containers in the order in which the kubelet starts them, as a pure state.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::PodSpec;

use super::container::{Container, Restart, Role, State};
use crate::node::{
    images::{failure::PullFailure, store::Provided},
    options::Speed,
};

/// The next action for a pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// Get the image of the container with this index and start it.
    Start(usize),
    /// Nothing before this time, or before something else happens.
    Wait(Option<Timestamp>),
}

/// The containers of one pod.
#[derive(Debug, Clone)]
pub(crate) struct Pod {
    /// Init containers and sidecars in their order, then the regular ones.
    pub(crate) containers: Vec<Container>,
    /// When the node took the pod on.
    pub(crate) started: Timestamp,
}

impl Pod {
    /// A pod that was just bound to the node.
    pub(crate) fn new(spec: &PodSpec, now: Timestamp) -> Self {
        let restart = match spec.restart_policy.as_deref() {
            Some("Never") => Restart::Never,
            Some("OnFailure") => Restart::OnFailure,
            _ => Restart::Always,
        };
        let init = spec.init_containers.iter().flatten().map(|container| {
            let role = match container.restart_policy.as_deref() {
                Some("Always") => Role::Sidecar,
                _ => Role::Init,
            };
            Container::new(container, role, restart)
        });
        let regular = spec.containers.iter();
        let regular = regular.map(|container| Container::new(container, Role::Regular, restart));
        Self {
            containers: init.chain(regular).collect(),
            started: now,
        }
    }

    /// Whether all init containers have ended and all sidecars have been started.
    pub(crate) fn is_initialized(&self) -> bool {
        self.containers
            .iter()
            .filter(|container| container.role != Role::Regular)
            .all(Container::lets_next_start)
    }

    /// The exit code of the pod, once all its regular containers have finished: the greatest.
    pub(crate) fn outcome(&self) -> Option<i32> {
        let regular = self.containers.iter();
        let regular = regular.filter(|container| container.role == Role::Regular);
        let codes = regular.map(|container| {
            let ended = container.ended.as_ref();
            let ended = ended.filter(|_| container.state == State::Finished);
            ended.map(|ended| ended.exit_code)
        });
        codes.collect::<Option<Vec<_>>>()?.into_iter().max()
    }

    /// Advances to this time, and returns the next action.
    pub(crate) fn next(&mut self, now: Timestamp, speed: Speed) -> Next {
        for container in &mut self.containers {
            container.pass_time(now, speed);
        }
        let initialized = self.is_initialized();
        let mut wakes = None;
        for (index, container) in self.containers.iter().enumerate() {
            if container.role == Role::Regular && !initialized {
                break;
            }
            if container.wants_start(now) {
                return Next::Start(index);
            }
            wakes = wakes.into_iter().chain(container.wakes(now)).min();
            if container.role != Role::Regular && !container.lets_next_start() {
                break;
            }
        }
        Next::Wait(wakes)
    }

    /// The image of a container is on the node.
    pub(crate) fn image_is_here(
        &mut self,
        index: usize,
        image: Provided,
        now: Timestamp,
        speed: Speed,
    ) {
        if let Some(container) = self.containers.get_mut(index) {
            container.image_is_here(image, now, speed);
        }
    }

    /// The image of a container cannot be pulled.
    pub(crate) fn image_failed(
        &mut self,
        index: usize,
        failure: PullFailure,
        now: Timestamp,
        speed: Speed,
    ) {
        if let Some(container) = self.containers.get_mut(index) {
            container.image_failed(failure, now, speed);
        }
    }
}

#[cfg(test)]
mod tests;
