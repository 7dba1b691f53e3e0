//! Replicas that do not lead.

use kube_autorollout_testbed::workload::eventually;
use serde_json::json;

use super::{request, status};
use crate::harness::{SOON, World};

const ELECTED: &str = "leaderElection: { enabled: true }";

#[tokio::test]
async fn a_replica_that_does_not_lead_shows_what_the_leader_knows() {
    let (world, first) = World::with_web("follower", ELECTED).await;
    let second = world.controller(ELECTED).await;
    let leader = status(&first, "").await;
    let follower = eventually(SOON, "the leader's rows", async || {
        let answer = request(&second, "GET", "/status.json?state=UpToDate").await;
        (answer.status == 200)
            .then(|| answer.json())
            .ok_or(answer.body)
    });
    let follower = follower.await.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(follower["leader"], leader["leader"]);
    assert_eq!(follower["workloads"][0]["name"], "web");
    assert_eq!(
        follower["shown"]["state"], "UpToDate",
        "the query is handed on"
    );
    let page = request(&second, "GET", "/").await;
    assert_eq!(
        (page.status, &*page.headers["content-type"]),
        (200, "text/html; charset=utf-8")
    );
    let name = leader["leader"].as_str().expect("a name");
    assert!(
        page.body.contains(name) && page.body.contains(">web "),
        "{}",
        page.body
    );
    assert!(page.headers.contains_key("content-security-policy"));

    first.kill();
    let answer = request(&second, "GET", "/status.json").await;
    assert_eq!((answer.status, &*answer.headers["retry-after"]), (503, "5"));
    let error = answer.json()["error"].as_str().expect("a text").to_owned();
    assert!(
        error.contains(name) && error.contains("does not respond"),
        "{error}"
    );
    let page = request(&second, "GET", "/").await;
    assert_eq!(page.status, 503);
    assert!(page.body.contains("does not respond"), "{}", page.body);

    second
        .until("leading", |metrics| {
            metrics.value("leader", &[]) == Some(1.0)
        })
        .await;
    second.until_all("UpToDate", 1).await;
    assert_eq!(
        status(&second, "").await["workloads"][0]["name"],
        json!("web")
    );
}

#[tokio::test]
async fn without_a_leader_it_says_so() {
    let (world, first) = World::with_web("leaderless", ELECTED).await;
    let second = world.controller(ELECTED).await;
    let gone = eventually(SOON, "no leader", async || {
        // A request that was handed on is not handed on once more.
        let answer = request(
            &second,
            "GET",
            "/status.json HTTP/1.0\r\nkube-autorollout-handed-on: 1\r\nx:",
        )
        .await;
        (answer.status == 503)
            .then_some(answer.body.clone())
            .ok_or(answer.body)
    });
    let gone = gone.await.unwrap_or_else(|error| panic!("{error}"));
    assert!(gone.contains("no replica is leading"), "{gone}");
    drop(first);
}
