//! The processes of one pod's containers that run for real.

use std::{collections::HashMap, time::Duration};

use futures::future;
use k8s_openapi::api::core::v1::Pod;

use crate::node::{
    fleet::Fleet,
    images::failure::PullFailure,
    pod::object::container_spec,
    process::{Change, Place, Process},
};

/// By the places of their containers in the pod.
pub(crate) struct Processes {
    /// The object, where a container of it runs for real.
    object: Option<Box<Pod>>,
    running: HashMap<usize, Process>,
}

impl Processes {
    /// None yet, of this pod.
    pub(crate) fn of(fleet: &Fleet, pod: &Pod) -> Self {
        let spec = pod.spec.iter();
        let mut images = spec
            .flat_map(|spec| {
                spec.init_containers
                    .iter()
                    .flatten()
                    .chain(&spec.containers)
            })
            .filter_map(|container| container.image.as_deref());
        let runs_for_real = images.any(|image| fleet.real(image).is_some());
        Self {
            object: runs_for_real.then(|| Box::new(pod.clone())),
            running: HashMap::new(),
        }
    }

    /// Starts the process of a container, if its image runs for real; whether it does.
    pub(crate) async fn start(
        &mut self,
        fleet: &Fleet,
        index: usize,
        image: &str,
        pod_ip: &str,
        host_ip: &str,
    ) -> Result<bool, PullFailure> {
        let (Some(pod), Some(real)) = (&self.object, fleet.real(image)) else {
            return Ok(false);
        };
        let Some(container) = container_spec(pod, index) else {
            return Ok(false);
        };
        let place = Place {
            client: fleet.client.clone(),
            pod: pod.clone(),
            container: Box::new(container.clone()),
            pod_ip: pod_ip.to_owned(),
            host_ip: host_ip.to_owned(),
        };
        let started = real.start(place).await;
        let process = started.map_err(|error| PullFailure::not_created(&error))?;
        self.running.insert(index, process);
        Ok(true)
    }

    /// The first change of any process; never, when there is none.
    pub(crate) async fn change(&mut self) -> (usize, Change) {
        if self.running.is_empty() {
            return future::pending().await;
        }
        let changes = self.running.iter_mut().map(|(index, process)| {
            let index = *index;
            Box::pin(async move { (index, process.change().await) })
        });
        let (change, _, _) = future::select_all(changes).await;
        change
    }

    /// A process has ended.
    pub(crate) fn remove(&mut self, index: usize) {
        self.running.remove(&index);
    }

    /// Asks all to end, and kills those that do not in time.
    pub(crate) async fn stop(&mut self, grace: Duration) {
        let stopped = self.running.drain();
        future::join_all(stopped.map(|(_, process)| process.stop(grace))).await;
    }
}
