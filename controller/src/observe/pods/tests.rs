//! A store with a scripted API server that records lists, on a paused clock.

mod freshness;
mod history;
mod sharing;

use std::{sync::Mutex, time::Duration};

use futures::future;
use http::{Request, Response};
use kube::{Client, client::Body};
use kube_autorollout_core::annotations::{DIGESTS, RESTARTED_AT};
use serde_json::{Value, json};
use tokio::time::{self, Instant};
use tokio_util::sync::CancellationToken;
use tower::service_fn;

use super::*;
use crate::{
    clock,
    lookup::{Fetches, Waiter, until_ready},
    workload::{Kind, Object, Workload, identity::Identity, interner::StringInterner},
};

const PODS: &str = "/api/v1/namespaces/shop/pods";
const REPLICA_SETS: &str = "/apis/apps/v1/namespaces/shop/replicasets";

/// The requested lists: their paths and selectors.
type Lists = Arc<Mutex<Vec<(String, String)>>>;

/// A store, and the lists that it requests.
struct Fixture {
    lister: Arc<PodLister>,
    lists: Lists,
}

impl Fixture {
    /// A cluster with `count` Deployments of one pod each.
    fn deployments(count: usize) -> Self {
        Self::listed_in(Duration::from_millis(100), count)
    }

    /// The same, where each list takes this long.
    fn listed_in(takes: Duration, count: usize) -> Self {
        Self::of_pods(takes, count, pod)
    }

    fn of_pods(takes: Duration, count: usize, pod: fn(usize) -> Value) -> Self {
        Self::of(takes, count, pod, |number| vec![replica_set(number)])
    }

    fn of(
        takes: Duration,
        count: usize,
        pod: fn(usize) -> Value,
        sets: fn(usize) -> Vec<Value>,
    ) -> Self {
        let lists = Lists::default();
        let seen = Arc::clone(&lists);
        let service = service_fn(move |request: Request<Body>| {
            let (path, query) = (request.uri().path(), request.uri().query());
            let selector = query.unwrap_or_default().replace("&labelSelector=", "");
            seen.lock()
                .expect("a lock")
                .push((path.to_owned(), selector));
            let answer = match path {
                PODS => (0..count).map(pod).collect::<Vec<_>>(),
                REPLICA_SETS => (0..count).flat_map(sets).collect(),
                other => panic!("{other}"),
            };
            let list = json!({ "metadata": {}, "items": answer }).to_string();
            async move {
                time::sleep(takes).await;
                Response::builder().body(Body::from(list.into_bytes()))
            }
        });
        let fetches = Fetches::new(Arc::default(), CancellationToken::new());
        Self {
            lister: PodLister::new(Client::new(service, "own"), RESTARTED_AT, &fetches),
            lists,
        }
    }

    /// The lists since the last call.
    fn lists(&self) -> Vec<(String, String)> {
        std::mem::take(&mut *self.lists.lock().expect("a lock"))
    }

    fn select(&self, workloads: &[Workload]) {
        for workload in workloads {
            let (metadata, uid) = (workload.meta(), workload.uid());
            let identity =
                Identity::of(workload.kind, metadata, uid, &mut StringInterner::default());
            self.lister.cache.select(&identity);
        }
    }

    async fn lookup(
        &self,
        workload: &Workload,
        freshness: PodFreshness,
    ) -> Result<Arc<Pods>, Error> {
        let lookup = |waiter: &Waiter| self.lister.lookup(workload, freshness, waiter).transpose();
        until_ready(lookup).await
    }

    /// The pods of a list that is at most as old as `age`, as for a check.
    async fn read(&self, workload: &Workload, age: Duration) -> Result<Arc<Pods>, Error> {
        self.lookup(workload, within(age, None)).await
    }

    async fn get(&self, workloads: &[Workload]) {
        let each = workloads
            .iter()
            .map(|workload| self.read(workload, REFRESH));
        for (number, pods) in future::join_all(each).await.into_iter().enumerate() {
            let pods = pods.expect("pods");
            assert_eq!(&*pods.current[0].name, format!("web-{number}-pod"));
        }
    }
}

fn within(age: Duration, after_request: Option<Timestamp>) -> PodFreshness {
    let now = Instant::now();
    let since = now
        .checked_sub(age.saturating_sub(Duration::from_millis(1)))
        .unwrap_or(now);
    PodFreshness {
        since,
        after_request,
        waited: None,
        rollbacks: false,
    }
}

fn pod(number: usize) -> Value {
    let owner = json!([{ "uid": format!("rs-{number}"), "controller": true }]);
    json!({
        "metadata": { "name": format!("web-{number}-pod"), "ownerReferences": owner },
        "spec": { "containers": [{ "name": "app" }] },
    })
}

/// The ReplicaSets of a Deployment with a rolled-back rollout.
fn rolled_back(number: usize) -> [Value; 2] {
    let template = |letter: &str, minute: u32| {
        let record = json!({ "app": format!("sha256:{}", letter.repeat(64)) }).to_string();
        let at = format!("2026-01-01T00:0{minute}:00Z");
        json!({ "metadata": { "annotations": { DIGESTS: record, RESTARTED_AT: at } } })
    };
    let [mut current, mut later] = [replica_set(number), replica_set(number)];
    current["metadata"]["creationTimestamp"] = json!("2026-01-01T00:01:00Z");
    current["spec"] = json!({ "template": template("a", 1) });
    later["metadata"]["uid"] = json!(format!("rs-{number}-later"));
    later["metadata"]["creationTimestamp"] = json!("2026-01-01T00:02:00Z");
    later["metadata"]["annotations"]["deployment.kubernetes.io/revision"] = json!("0");
    later["spec"] = json!({ "template": template("b", 2) });
    [current, later]
}

fn replica_set(number: usize) -> Value {
    json!({ "metadata": {
        "uid": format!("rs-{number}"),
        "annotations": { "deployment.kubernetes.io/revision": "1" },
        "ownerReferences": [{ "uid": format!("web-{number}"), "controller": true }],
    }})
}

/// A Deployment that was received just now, with this number of updated pods.
fn deployment(number: usize, version: &str, updated: i32) -> Workload {
    let name = format!("web-{number}");
    let deployment = json!({
        "metadata": {
            "name": name,
            "namespace": "shop",
            "uid": name,
            "generation": 1,
            "resourceVersion": version,
            "annotations": { "deployment.kubernetes.io/revision": "1" },
        },
        "spec": {
            "selector": { "matchLabels": { "app": name } },
            "template": rolled_back(number)[0]["spec"]["template"],
        },
        "status": { "observedGeneration": 1, "replicas": 1, "updatedReplicas": updated, "availableReplicas": 1 },
    });
    let object: Object = serde_json::from_value(deployment).expect("a Deployment");
    Workload::new(Kind::ALL[0], Arc::new(object)).expect("a Deployment")
}

fn deployments(count: usize) -> Vec<Workload> {
    let numbers = 0..count;
    numbers.map(|number| deployment(number, "1", 1)).collect()
}

fn whole(path: &str) -> (String, String) {
    (path.to_owned(), String::new())
}
