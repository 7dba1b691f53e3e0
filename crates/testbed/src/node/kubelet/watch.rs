//! One watch for the pods of all nodes, and a worker for each pod.

use std::{
    collections::{HashMap, HashSet},
    pin::pin,
    sync::Arc,
    time::Duration,
};

use futures::StreamExt;
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api,
    runtime::watcher::{self, Event},
};
use tokio::{
    sync::watch,
    task::{AbortHandle, JoinSet},
    time::sleep,
};

use super::worker::Worker;
use crate::node::{fleet::Fleet, pod::object};

/// After an error of the watch, for example while the API server is down.
const RETRY: Duration = Duration::from_millis(250);

/// Runs the pods of our nodes until it is aborted, and the workers with it.
pub(crate) async fn run(fleet: Arc<Fleet>) {
    let pods: Api<Pod> = Api::all(fleet.client.clone());
    let bound = watcher::Config::default().fields("spec.nodeName!=");
    let mut events = pin!(watcher::watcher(pods, bound));
    let mut workers = Workers {
        fleet,
        tasks: JoinSet::new(),
        by_uid: HashMap::new(),
        listed: HashSet::new(),
    };
    loop {
        tokio::select! {
            Some(event) = events.next() => match event {
                Ok(event) => workers.see(event),
                Err(error) => {
                    tracing::debug!(%error, "watch the pods of the nodes");
                    sleep(RETRY).await;
                }
            },
            Some(_ended) = workers.tasks.join_next() => {}
        }
    }
}

struct Workers {
    fleet: Arc<Fleet>,
    tasks: JoinSet<()>,
    by_uid: HashMap<String, Handle>,
    /// The pods of a list that is being read.
    listed: HashSet<String>,
}

struct Handle {
    deletion: watch::Sender<Option<Duration>>,
    /// Somebody else wrote that the pod is not ready.
    doubts: watch::Sender<()>,
    task: AbortHandle,
}

impl Workers {
    fn see(&mut self, event: Event<Pod>) {
        match event {
            Event::Apply(pod) => self.update(&pod),
            Event::Init => self.listed.clear(),
            Event::InitApply(pod) => {
                self.listed.extend(pod.metadata.uid.clone());
                self.update(&pod);
            }
            Event::InitDone => {
                let listed = std::mem::take(&mut self.listed);
                let gone = self.by_uid.keys().filter(|uid| !listed.contains(*uid));
                for uid in gone.cloned().collect::<Vec<_>>() {
                    self.remove(&uid);
                }
            }
            Event::Delete(pod) => self.remove(&pod.metadata.uid.unwrap_or_default()),
        }
    }

    fn update(&mut self, pod: &Pod) {
        let Some(uid) = &pod.metadata.uid else { return };
        let deletion = object::grace_of_deletion(pod);
        if let Some(handle) = self.by_uid.get(uid) {
            handle.deletion.send_if_modified(|known| {
                let changed = *known != deletion;
                *known = deletion;
                changed
            });
            if object::is_doubted(pod) {
                handle.doubts.send_replace(());
            }
            return;
        }
        let (sender, receiver) = watch::channel(deletion);
        let doubts = watch::Sender::new(());
        let Some(worker) = Worker::new(&self.fleet, pod, receiver, doubts.subscribe()) else {
            return; // of a node that is not ours
        };
        self.fleet.journal.took_on(uid);
        let handle = Handle {
            deletion: sender,
            doubts,
            task: self.tasks.spawn(worker.run()),
        };
        self.by_uid.insert(uid.clone(), handle);
    }

    fn remove(&mut self, uid: &str) {
        if let Some(handle) = self.by_uid.remove(uid) {
            handle.task.abort();
            self.fleet.journal.stopped(uid);
        }
    }
}
