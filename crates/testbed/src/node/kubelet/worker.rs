//! The worker of one pod: it carries out what the pure state demands, and writes the status.

use std::{
    collections::{BTreeMap, HashSet},
    pin::pin,
    sync::Arc,
    time::Duration,
};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod as PodObject;
use kube::ResourceExt;
use tokio::{
    sync::{broadcast, watch},
    time::{sleep, timeout},
};

use super::{processes::Processes, writer::Writer};
use crate::{
    clock::now,
    node::{
        fleet::{Fleet, Victim},
        host::Host,
        images::failure::PullFailure,
        pod::{
            container::{Container, State},
            lifecycle::{Next, Pod},
            object::{pins, workload},
            status::{Identity, status},
        },
        process::Change,
        readiness::{Candidate, Pods},
        running::RunningContainer,
    },
};

/// A pull that takes longer than this is shown in the status while it lasts; a shorter one costs no request.
const PATIENCE: Duration = Duration::from_millis(100);

/// After a status could not be written.
const RETRY: Duration = Duration::from_millis(250);

/// The worker of one pod.
pub(crate) struct Worker {
    fleet: Arc<Fleet>,
    writer: Writer,
    node: String,
    namespace: String,
    name: String,
    /// The label `app`.
    workload: Option<String>,
    /// By the names of containers.
    pins: BTreeMap<String, String>,
    identity: Identity,
    pod: Pod,
    processes: Processes,
    deletion: watch::Receiver<Option<Duration>>,
    renames: watch::Receiver<()>,
    unready: watch::Receiver<HashSet<Pods>>,
    away: watch::Receiver<bool>,
    crashes: broadcast::Receiver<Victim>,
    doubts: watch::Receiver<()>,
}

impl Worker {
    /// A worker for a pod of one of our nodes.
    pub(crate) fn new(
        fleet: &Arc<Fleet>,
        pod: &PodObject,
        deletion: watch::Receiver<Option<Duration>>,
        doubts: watch::Receiver<()>,
    ) -> Option<Self> {
        let spec = pod.spec.as_ref()?;
        let host = fleet.host(spec.node_name.as_deref()?)?;
        let (name, namespace) = (pod.name_any(), pod.namespace()?);
        let uid = pod.uid()?;
        let state = Pod::new(spec, now());
        Some(Self {
            fleet: Arc::clone(fleet),
            writer: Writer::new(fleet, &namespace, &name, &uid),
            node: host.name.clone(),
            identity: Identity {
                title: format!("{name}_{namespace}({uid})"),
                uid,
                pod_ip: fleet.pod_address().to_string(),
                host_ip: host.address.to_string(),
                runtime: host.runtime,
            },
            processes: Processes::of(fleet, pod),
            pod: state,
            deletion,
            renames: host.renames(),
            unready: fleet.unready.changes(),
            away: host.away(),
            crashes: fleet.crashes.subscribe(),
            workload: workload(pod).map(str::to_owned),
            pins: pins(pod),
            doubts,
            name,
            namespace,
        })
    }

    /// Runs the pod until it is deleted.
    pub(crate) async fn run(mut self) {
        let fleet = Arc::clone(&self.fleet);
        let Some(host) = fleet.host(&self.node) else {
            return;
        };
        loop {
            host.connected().await;
            let deletion = *self.deletion.borrow_and_update();
            if let Some(grace) = deletion {
                return self.terminate(host, grace).await;
            }
            self.probe();
            match self.pod.next(now(), fleet.speed()) {
                Next::Start(index) => self.start(host, index).await,
                Next::Wait(until) => self.wait(host, until).await,
            }
        }
    }

    /// Lets the probes of the pod fail where a test demands it, and succeed again.
    fn probe(&mut self) {
        self.unready.mark_unchanged();
        let containers = self.pod.containers.iter();
        let markers: Vec<&str> = containers
            .filter_map(|container| container.runs.as_ref())
            .map(|image| image.facts.marker.as_str())
            .collect();
        let fails = self.fleet.unready.contains(Candidate {
            namespace: &self.namespace,
            name: &self.name,
            workload: self.workload.as_deref(),
            markers: &markers,
        });
        for container in &mut self.pod.containers {
            container.fails_probes = fails;
        }
    }

    /// Pulls the image of a container, unless the pod is deleted first.
    async fn start(&mut self, host: &Host, index: usize) {
        let Some(container) = self.pod.containers.get(index) else {
            return;
        };
        let (image, policy) = (container.image.clone(), container.policy);
        let fleet = Arc::clone(&self.fleet);
        let mut pull = pin!(fleet.ensure_image(host, &image, policy));
        let mut deletion = self.deletion.clone();
        let outcome = tokio::select! {
            biased;
            outcome = &mut pull => outcome,
            () = sleep(PATIENCE) => {
                self.write(host).await;
                tokio::select! {
                    outcome = &mut pull => outcome,
                    _ = deletion.changed() => return,
                }
            }
            _ = deletion.changed() => return,
        };
        let speed = self.fleet.speed();
        let outcome = match outcome {
            Ok(provided) => self.run_for_real(index, &image).await.map(|()| provided),
            failure => failure,
        };
        match outcome {
            Ok(image) => self.pod.image_is_here(index, image, now(), speed),
            Err(failure) => self.pod.image_failed(index, failure, now(), speed),
        }
    }

    /// Starts the process of a container whose image runs for real.
    async fn run_for_real(&mut self, index: usize, image: &str) -> Result<(), PullFailure> {
        let Identity {
            pod_ip, host_ip, ..
        } = &self.identity;
        let started = self
            .processes
            .start(&self.fleet, index, image, pod_ip, host_ip);
        let started = started.await?;
        if let Some(container) = self.pod.containers.get_mut(index) {
            container.real |= started;
        }
        Ok(())
    }

    /// Applies a change of a process.
    fn see(&mut self, index: usize, change: Change) {
        let Some(container) = self.pod.containers.get_mut(index) else {
            return;
        };
        match change {
            Change::Ready(ready) => container.set_ready(ready, now()),
            Change::Ended(code) => {
                container.exited(code, now(), self.fleet.speed());
                self.processes.remove(index);
            }
        }
    }

    /// Writes the status, and returns when there may be something to do.
    async fn wait(&mut self, host: &Host, until: Option<Timestamp>) {
        self.renames.mark_unchanged();
        let written = self.write(host).await;
        let pause = until.map(|until| Duration::try_from(until - now()).unwrap_or_default());
        let pause = if written {
            pause
        } else {
            Some(pause.map_or(RETRY, |pause| pause.min(RETRY)))
        };
        let time = async {
            match pause {
                Some(pause) => sleep(pause).await,
                None => std::future::pending().await,
            }
        };
        let change = tokio::select! {
            () = time => None,
            _ = self.deletion.changed() => None,
            _ = self.renames.changed() => None,
            _ = self.unready.changed() => None,
            _ = self.away.changed() => None,
            Ok(victim) = self.crashes.recv() => {
                self.crash(&victim);
                None
            }
            Ok(()) = self.doubts.changed() => {
                self.writer.forget();
                None
            }
            change = self.processes.change() => Some(change),
        };
        if let Some((index, change)) = change {
            self.see(index, change);
        }
    }

    /// Ends the process of a container with an error, if it is one of this pod.
    fn crash(&mut self, victim: &Victim) {
        if victim.namespace != self.namespace || victim.pod != self.name {
            return;
        }
        let speed = self.fleet.speed();
        let mut containers = self.pod.containers.iter_mut();
        if let Some(container) = containers.find(|one| one.name == victim.container) {
            container.exited(1, now(), speed);
        }
    }

    /// Writes the status if it has changed and the node is not cut off; false when that failed.
    async fn write(&mut self, host: &Host) -> bool {
        let status = host.images(|images| {
            let previous = self.writer.written();
            status(&self.pod, &self.identity, images, previous, now())
        });
        if host.is_away() || !self.writer.is_news(&status) {
            return true;
        }
        let uid = &self.identity.uid;
        self.fleet.journal.set_running(uid, self.running());
        self.writer.write(status).await
    }

    fn running(&self) -> Vec<RunningContainer> {
        let containers = self.pod.containers.iter();
        containers
            .filter(|container| matches!(container.state, State::Running { .. }))
            .filter_map(|container| self.running_container(container))
            .collect()
    }

    fn running_container(&self, container: &Container) -> Option<RunningContainer> {
        let image = container.runs.clone()?;
        Some(RunningContainer {
            namespace: self.namespace.clone(),
            pod: self.name.clone(),
            container: container.name.clone(),
            node: self.node.clone(),
            image: container.image.clone(),
            pin: self.pins.get(&container.name).cloned(),
            marker: image.facts.marker,
            config_digest: image.facts.config,
            pulled_digest: image.pulled,
            image_id: image.image_id.unwrap_or_default(),
            ready: container.is_ready(now()),
        })
    }

    /// Stops the processes and removes the pod.
    async fn terminate(mut self, host: &Host, mut grace: Duration) {
        self.processes.stop(grace).await;
        let stop = self.fleet.speed().stop;
        // A second deletion shortens the grace period.
        while let Ok(Ok(())) = timeout(stop.min(grace), self.deletion.changed()).await {
            grace = self.deletion.borrow_and_update().unwrap_or_default();
        }
        self.fleet.journal.stopped(&self.identity.uid);
        host.connected().await;
        self.writer.delete().await;
    }
}
