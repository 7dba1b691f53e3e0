//! One pod's worker: does what the pure state says, and writes the status.

use std::{collections::HashMap, pin::pin, sync::Arc, time::Duration};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Container as Spec, Pod as PodObject, PodSpec, PodStatus};
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, Patch, PatchParams, Preconditions},
};
use serde_json::{Value, json};
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};

use super::{
    RunningContainer,
    container::{Container, State},
    fleet::{Fleet, Host},
    now,
    pod::{Next, Pod},
    process::{Change, Place, Process},
    pull::PullFailure,
    registration::FIELD_MANAGER,
    status::{Identity, status},
};

/// A pull that takes longer than this is shown in the status while it lasts; a shorter one costs no request.
const PATIENCE: Duration = Duration::from_millis(100);

/// After a status could not be written.
const RETRY: Duration = Duration::from_millis(250);

/// The worker of one pod.
pub(super) struct Worker {
    fleet: Arc<Fleet>,
    api: Api<PodObject>,
    node: String,
    namespace: String,
    name: String,
    identity: Identity,
    pod: Pod,
    /// The object, where a container of it runs for real.
    object: Option<Box<PodObject>>,
    processes: HashMap<usize, Process>,
    written: Option<PodStatus>,
    deletion: watch::Receiver<Option<Duration>>,
    renames: watch::Receiver<()>,
    doubts: watch::Receiver<()>,
    /// What was written is no longer what stands there.
    doubted: bool,
}

/// Whether the node lifecycle controller wrote that the pod is not ready, as its node was taken for dead: a kubelet gives a
/// reason where it writes that.
pub(super) fn is_doubted(pod: &PodObject) -> bool {
    let status = pod.status.iter();
    let mut conditions = status.flat_map(|status| status.conditions.iter().flatten());
    conditions.any(|condition| {
        condition.type_ == "Ready" && condition.status == "False" && condition.reason.is_none()
    })
}

/// Takes the reason of before away from conditions that have none now: a patch would leave it.
fn forget_reasons(patch: &mut Value) {
    let conditions = patch.pointer_mut("/status/conditions");
    let conditions = conditions.and_then(Value::as_array_mut);
    for condition in conditions.into_iter().flatten() {
        let Some(condition) = condition.as_object_mut() else {
            continue;
        };
        for part in ["reason", "message"] {
            condition.entry(part).or_insert(Value::Null);
        }
    }
}

/// The grace period of a pod that is being deleted.
pub(super) fn grace_of_deletion(pod: &PodObject) -> Option<Duration> {
    pod.metadata.deletion_timestamp.as_ref()?;
    let seconds = pod.metadata.deletion_grace_period_seconds.unwrap_or(0);
    Some(Duration::from_secs(u64::try_from(seconds).unwrap_or(0)))
}

/// Whether a container of a pod runs for real.
fn runs_for_real(fleet: &Fleet, spec: &PodSpec) -> bool {
    let init = spec.init_containers.iter().flatten();
    let mut images = init
        .chain(&spec.containers)
        .filter_map(|container| container.image.as_deref());
    images.any(|image| fleet.real(image).is_some())
}

/// The container of a pod that has this index in [`Pod::containers`].
fn container_spec(pod: &PodObject, index: usize) -> Option<&Spec> {
    let spec = pod.spec.as_ref()?;
    let init = spec.init_containers.iter().flatten();
    init.chain(&spec.containers).nth(index)
}

/// The first change of any process; never, when there is none.
async fn any_change(processes: &mut HashMap<usize, Process>) -> (usize, Change) {
    if processes.is_empty() {
        return std::future::pending().await;
    }
    let changes = processes.iter_mut().map(|(index, process)| {
        let index = *index;
        Box::pin(async move { (index, process.change().await) })
    });
    let (change, _, _) = futures::future::select_all(changes).await;
    change
}

impl Worker {
    /// A worker for a pod of one of our nodes.
    pub(super) fn new(
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
            api: Api::namespaced(fleet.client().clone(), &namespace),
            node: host.name.clone(),
            identity: Identity {
                title: format!("{name}_{namespace}({uid})"),
                uid,
                pod_ip: fleet.pod_address().to_string(),
                host_ip: host.address.to_string(),
                runtime: host.runtime,
            },
            object: runs_for_real(fleet, spec).then(|| Box::new(pod.clone())),
            processes: HashMap::new(),
            pod: state,
            written: None,
            deletion,
            renames: host.renames(),
            doubts,
            doubted: false,
            name,
            namespace,
        })
    }

    /// Runs the pod until it is deleted.
    pub(super) async fn run(mut self) {
        let fleet = Arc::clone(&self.fleet);
        let Some(host) = fleet.host(&self.node) else {
            return;
        };
        loop {
            let deletion = *self.deletion.borrow_and_update();
            if let Some(grace) = deletion {
                return self.terminate(grace).await;
            }
            match self.pod.next(now(), fleet.pace()) {
                Next::Start(index) => self.start(host, index).await,
                Next::Wait(until) => self.wait(host, until).await,
            }
        }
    }

    /// Gets the image of a container, unless the pod is deleted meanwhile.
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
                self.write(host).await.unwrap_or_else(|error| self.report(&error));
                tokio::select! {
                    outcome = &mut pull => outcome,
                    _ = deletion.changed() => return,
                }
            }
            _ = deletion.changed() => return,
        };
        let pace = self.fleet.pace();
        let outcome = match outcome {
            Ok(provided) => self.run_for_real(index, &image).await.map(|()| provided),
            failure => failure,
        };
        match outcome {
            Ok(image) => self.pod.image_is_here(index, image, now(), pace),
            Err(failure) => self.pod.image_failed(index, failure, now(), pace),
        }
    }

    /// Starts the process of a container whose image runs for real.
    async fn run_for_real(&mut self, index: usize, image: &str) -> Result<(), PullFailure> {
        let (Some(object), Some(real)) = (&self.object, self.fleet.real(image)) else {
            return Ok(());
        };
        let (Some(spec), Some(container)) = (
            container_spec(object, index),
            self.pod.containers.get_mut(index),
        ) else {
            return Ok(());
        };
        let place = Place {
            client: self.fleet.client(),
            pod: object,
            container: spec,
            pod_ip: &self.identity.pod_ip,
            host_ip: &self.identity.host_ip,
        };
        let started = real.start(&place).await;
        let process = started.map_err(|error| PullFailure::not_created(&error))?;
        container.real = true;
        self.processes.insert(index, process);
        Ok(())
    }

    /// Takes note of what became of a process.
    fn see(&mut self, index: usize, change: Change) {
        let Some(container) = self.pod.containers.get_mut(index) else {
            return;
        };
        match change {
            Change::Ready(ready) => container.set_ready(ready, now()),
            Change::Ended(code) => {
                container.exited(code, now(), self.fleet.pace());
                self.processes.remove(&index);
            }
        }
    }

    /// Writes the status, and returns when there may be something to do.
    async fn wait(&mut self, host: &Host, until: Option<Timestamp>) {
        self.renames.mark_unchanged();
        let written = self.write(host).await;
        let pause = until.map(|until| Duration::try_from(until - now()).unwrap_or_default());
        let pause = match written {
            Ok(()) => pause,
            Err(error) => {
                self.report(&error);
                Some(pause.map_or(RETRY, |pause| pause.min(RETRY)))
            }
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
            Ok(()) = self.doubts.changed() => {
                self.doubted = true;
                None
            }
            change = any_change(&mut self.processes) => Some(change),
        };
        if let Some((index, change)) = change {
            self.see(index, change);
        }
    }

    /// Writes the status if it has changed.
    async fn write(&mut self, host: &Host) -> Result<(), kube::Error> {
        let status = host.images(|images| {
            let previous = self.written.as_ref();
            status(&self.pod, &self.identity, images, previous, now())
        });
        if self.written.as_ref() == Some(&status) && !self.doubted {
            return Ok(());
        }
        self.fleet.set_running(&self.identity.uid, self.running());
        let mut patch = json!({ "metadata": { "uid": self.identity.uid }, "status": &status });
        forget_reasons(&mut patch);
        let parameters = PatchParams {
            field_manager: Some(FIELD_MANAGER.to_owned()),
            ..PatchParams::default()
        };
        let patch = Patch::Strategic(patch);
        let request = self.api.patch_status(&self.name, &parameters, &patch);
        self.fleet.in_turn(request).await?;
        self.written = Some(status);
        self.doubted = false;
        Ok(())
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
            marker: image.facts.marker,
            config_digest: image.facts.config,
            pulled_digest: image.pulled,
            image_id: image.image_id.unwrap_or_default(),
        })
    }

    /// Stops the processes and removes the pod for good.
    async fn terminate(mut self, mut grace: Duration) {
        let processes = self.processes.drain();
        let stopped = processes.map(|(_, process)| process.stop(grace));
        futures::future::join_all(stopped).await;
        let stop = self.fleet.speed().stop;
        // A second deletion shortens the grace period.
        while let Ok(Ok(())) = timeout(stop.min(grace), self.deletion.changed()).await {
            grace = self.deletion.borrow_and_update().unwrap_or_default();
        }
        self.fleet.stopped(&self.identity.uid);
        let parameters = DeleteParams {
            grace_period_seconds: Some(0),
            preconditions: Some(Preconditions {
                uid: Some(self.identity.uid.clone()),
                resource_version: None,
            }),
            ..DeleteParams::default()
        };
        let delete = || self.fleet.in_turn(self.api.delete(&self.name, &parameters));
        while let Err(error) = delete().await {
            if matches!(&error, kube::Error::Api(status) if status.is_not_found() || status.is_conflict())
            {
                return; // gone, or another pod of that name
            }
            self.report(&error);
            sleep(RETRY).await;
        }
    }

    fn report(&self, error: &kube::Error) {
        tracing::debug!(pod = self.identity.title, %error, "write to the API server");
    }
}
