//! A store against a scripted API server that counts its lists, on a paused clock.

use std::{sync::Mutex, time::Duration};

use futures::future;
use http::{Request, Response};
use kube::client::Body;
use kube_autorollout_core::annotations::{DIGESTS, RESTARTED_AT};
use serde_json::{Value, json};
use tokio::time::{self, Instant};
use tokio_util::sync::CancellationToken;
use tower::service_fn;

use super::*;
use crate::{
    clock,
    lookup::{Fetches, until_ready},
    workload::{Kind, Object, interner::Names},
};

const PODS: &str = "/api/v1/namespaces/shop/pods";
const REPLICA_SETS: &str = "/apis/apps/v1/namespaces/shop/replicasets";

/// Lists that were asked for: which objects, and with which selector.
type Lists = Arc<Mutex<Vec<(String, String)>>>;

/// A store, and what it asks for.
struct Given {
    store: Store,
    lists: Lists,
}

impl Given {
    /// So many Deployments of one pod each are in the cluster.
    fn deployments(count: usize) -> Self {
        Self::listed_in(Duration::from_millis(100), count)
    }

    /// The same, where each list takes so long.
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
            store: Store::new(Client::new(service, "own"), RESTARTED_AT, &fetches),
            lists,
        }
    }

    /// Those of the kind since the last call, with their selectors.
    fn lists(&self) -> Vec<(String, String)> {
        std::mem::take(&mut *self.lists.lock().expect("a lock"))
    }

    fn select(&self, workloads: &[Workload]) {
        for workload in workloads {
            let (metadata, uid) = (workload.meta(), workload.uid());
            let identity = Identity::of(workload.kind, metadata, uid, &mut Names::default());
            self.store.select(&identity);
        }
    }

    async fn lookup(&self, workload: &Workload, since: Since) -> Result<Arc<Pods>, Error> {
        let lookup = |waiter: &Waiter| self.store.lookup(workload, since, waiter).transpose();
        until_ready(lookup).await
    }

    /// The pods as of a list that is not older than `age`, as one that is read for a check is.
    async fn read(&self, workload: &Workload, age: Duration) -> Result<Arc<Pods>, Error> {
        self.lookup(workload, since(age, None)).await
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

fn since(age: Duration, asked: Option<Timestamp>) -> Since {
    let now = Instant::now();
    let at = now
        .checked_sub(age.saturating_sub(Duration::from_millis(1)))
        .unwrap_or(now);
    Since {
        at,
        asked,
        waited: None,
        templates: false,
    }
}

fn pod(number: usize) -> Value {
    let owner = json!([{ "uid": format!("rs-{number}"), "controller": true }]);
    json!({
        "metadata": { "name": format!("web-{number}-pod"), "ownerReferences": owner },
        "spec": { "containers": [{ "name": "app" }] },
    })
}

/// The ReplicaSets of a Deployment that went back from a rollout.
fn went_back(number: usize) -> [Value; 2] {
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

/// A Deployment that came just now, whose rollout is complete when so many of its pods are updated.
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
            "template": went_back(number)[0]["spec"]["template"],
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

#[tokio::test(start_paused = true)]
async fn many_new_workloads_share_one_list_of_their_namespace() {
    let given = Given::deployments(30);
    let all = deployments(30);
    given.select(&all);
    given.get(&all).await;
    assert_eq!(given.lists(), [whole(PODS), whole(REPLICA_SETS)]);
    given.get(&all).await;
    assert_eq!(given.lists(), [], "they are kept");
}

#[tokio::test(start_paused = true)]
async fn those_who_come_a_little_later_are_served_by_the_same_list() {
    let given = Given::deployments(30);
    let all = deployments(30);
    given.select(&all);
    given.get(&all[..10]).await;
    given.lists();
    given.get(&all).await;
    assert_eq!(given.lists(), [], "nothing has changed since it began");
}

#[tokio::test(start_paused = true)]
async fn a_single_workload_has_a_list_of_its_own() {
    let given = Given::deployments(30);
    given.select(&deployments(1));
    given.get(&deployments(1)).await;
    let selectors = given.lists().into_iter().map(|(_, selector)| selector);
    assert_eq!(
        selectors.collect::<Vec<_>>(),
        ["app%3Dweb-0", "app%3Dweb-0"]
    );
}

#[tokio::test(start_paused = true)]
async fn after_ten_minutes_one_list_of_pods_refreshes_all_workloads_of_a_namespace() {
    let given = Given::deployments(30);
    let all = deployments(30);
    given.select(&all);
    given.get(&all).await;
    given.lists();
    time::advance(REFRESH).await;
    for (number, workload) in all.iter().enumerate() {
        let pods = given.read(workload, REFRESH).await;
        let pods = pods.expect("pods");
        assert_eq!(&*pods.current[0].name, format!("web-{number}-pod"));
        time::advance(Duration::from_secs(10)).await;
    }
    assert_eq!(given.lists(), [whole(PODS)]);
}

/// A pod whose image cannot be pulled may come to run another one and never be ready, which changes nothing in its workload.
#[tokio::test(start_paused = true)]
async fn after_a_minute_one_list_refreshes_the_workloads_of_which_a_container_waits() {
    let waiting = |number: usize| {
        let mut pod = pod(number);
        let state = json!({ "waiting": { "reason": "ImagePullBackOff" } });
        let image = json!({ "name": "app", "imageID": "", "state": state });
        pod["status"] = json!({ "containerStatuses": [image] });
        pod
    };
    let given = Given::of_pods(Duration::from_millis(100), 30, waiting);
    let all = deployments(30);
    given.select(&all);
    given.get(&all).await;
    given.lists();
    time::advance(kept::REFRESH_UNSETTLED / 2).await;
    given.get(&all).await;
    assert_eq!(given.lists(), [], "they are kept");
    time::advance(kept::REFRESH_UNSETTLED / 2).await;
    given.get(&all[..1]).await;
    assert_eq!(given.lists(), [whole(PODS)]);
    given.get(&all).await;
    assert_eq!(given.lists(), [], "they are kept again");
}

#[tokio::test(start_paused = true)]
async fn a_rollout_rests_on_a_list_that_began_after_its_registry_was_asked() {
    let given = Given::deployments(30);
    let all = deployments(30);
    given.select(&all);
    given.get(&all).await;
    let before = clock::now();
    given.lists();
    let certain = |number: usize, asked| {
        let age = Duration::from_secs(10);
        given.lookup(&all[number], since(age, Some(asked)))
    };
    let earlier = before - jiff::SignedDuration::from_mins(1);
    certain(3, earlier).await.expect("pods");
    assert_eq!(given.lists(), [], "the last list began later");
    // Its template is where it was in its history, as it has not changed: only its pods are listed.
    let own = |number: usize| (PODS.to_owned(), format!("app%3Dweb-{number}"));
    certain(3, before).await.expect("pods");
    assert_eq!(given.lists(), [own(3)], "the last list began earlier");
    time::advance(Duration::from_secs(10)).await;
    certain(4, earlier).await.expect("pods");
    assert_eq!(given.lists(), [own(4)], "the last list is old");
}

#[tokio::test(start_paused = true)]
async fn a_workload_that_has_changed_is_not_served_by_a_list_that_began_before() {
    let given = Given::deployments(30);
    let all = deployments(30);
    given.select(&all);
    given.get(&all).await;
    given.lists();
    time::advance(Duration::from_millis(1)).await;
    given.get(&[deployment(0, "2", 1)]).await;
    assert_eq!(given.lists().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_workload_that_is_changed_more_often_than_a_list_takes_is_served_by_the_list_that_it_waited_for()
 {
    let given = Given::deployments(1);
    given.select(&deployments(1));
    let waited = Instant::now();
    let since = Since {
        waited: Some(waited),
        ..since(REFRESH, None)
    };
    let mut version = 0;
    let pods = until_ready(|waiter| {
        version += 1;
        let changed = deployment(0, &version.to_string(), 1);
        given.store.lookup(&changed, since, waiter).transpose()
    });
    assert_eq!(&*pods.await.expect("pods").current[0].name, "web-0-pod");
    assert_eq!(version, 2);
    let updated = deployment(0, "9", 0);
    let lookup = given.lookup(&updated, since).await;
    lookup.expect("pods");
    assert_eq!(given.lists().len(), 4, "its status says something else");
}

#[tokio::test(start_paused = true)]
async fn after_a_list_of_a_namespace_a_rollout_waits_a_little_for_the_next_and_others_wait_longer()
{
    // Milliseconds that a list takes, and when the next one has ended
    for (takes, urgent, other) in [
        (100, 500, 2_200),
        (1_000, 3_000, 6_000),
        (20_000, 50_000, 70_000),
    ] {
        let given = Given::listed_in(Duration::from_millis(takes), 30);
        let all = deployments(30);
        given.select(&all);
        let begun = Instant::now();
        given.get(&all).await;
        let certain = given.lookup(&all[3], since(REFRESH, Some(clock::now())));
        certain.await.expect("pods");
        let next = [begun.elapsed(), {
            given.get(&[deployment(0, "2", 1)]).await;
            begun.elapsed()
        }];
        // The paused clock goes by milliseconds
        let about = next.map(|elapsed| elapsed.as_millis() / 10 * 10);
        assert_eq!(about, [urgent, other], "{takes}");
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_kept_of_a_namespace_that_is_not_read_any_more() {
    let given = Given::deployments(10);
    let workloads: Vec<_> = (0..10).map(|number| deployment(number, "1", 1)).collect();
    given.select(&workloads);
    given.get(&workloads).await;
    given.store.tidy();
    assert_eq!(
        given.store.reader.namespaces(),
        1,
        "its list may serve others"
    );
    time::advance(Duration::from_secs(60)).await;
    given.store.tidy();
    assert_eq!(given.store.reader.namespaces(), 0);
    given.get(&workloads).await;
}

/// Its ReplicaSets show by their ages that somebody may have gone back; from which rollout is in their templates.
#[tokio::test(start_paused = true)]
async fn templates_of_the_history_are_read_once_where_somebody_may_have_gone_back() {
    let with_history = || Since {
        templates: true,
        ..since(REFRESH, None)
    };
    let given = Given::deployments(1);
    let all = deployments(1);
    given.select(&all);
    given.get(&all).await;
    given.lists();
    let pods = given.lookup(&all[0], with_history()).await.expect("pods");
    assert_eq!(pods.undone.as_deref(), Some(&[][..]), "it is the newest");
    assert_eq!(given.lists(), []);

    let takes = Duration::from_millis(100);
    let given = Given::of(takes, 1, pod, |number| went_back(number).into());
    given.select(&all);
    let pods = given.read(&all[0], REFRESH).await.expect("pods");
    assert_eq!(pods.undone, None, "nobody wanted to know");
    given.lists();
    let pods = given.lookup(&all[0], with_history()).await.expect("pods");
    let later = format!("sha256:{}", "b".repeat(64));
    assert!(pods.are_rolled_back("app", &later.parse().expect("a digest")));
    assert_eq!(given.lists().len(), 2);
    given.lookup(&all[0], with_history()).await.expect("pods");
    let same_template = deployment(0, "2", 0);
    let pods = given.lookup(&same_template, with_history()).await;
    assert_eq!(
        pods.expect("pods")
            .undone
            .as_ref()
            .map(|undone| undone.len()),
        Some(1)
    );
    let lists = given.lists();
    assert_eq!(lists.len(), 2, "its status has changed: {lists:?}");
    time::advance(REFRESH).await;
    given.read(&same_template, REFRESH).await.expect("pods");
    let certain = Since {
        templates: true,
        ..since(Duration::from_secs(10), Some(clock::now()))
    };
    let pods = given.lookup(&same_template, certain).await.expect("pods");
    assert_eq!(pods.undone.as_ref().map(|undone| undone.len()), Some(1));
    let paths: Vec<_> = given.lists().into_iter().map(|(path, _)| path).collect();
    assert_eq!(paths, [PODS, PODS], "its history is known");
}
