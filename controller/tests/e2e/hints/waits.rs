//! Requests that wait for workloads.

use std::{collections::BTreeSet, fs, time::Duration};

use futures::future::join_all;
use kube_autorollout_testbed::{
    hints::SECRET,
    image::{Behaviour, Content as _},
    workload::eventually,
};
use serde_json::{Value, json};
use tokio::time::timeout;

use super::{Hooks, with_web};
use crate::harness::{SOON, World};

/// The answer that the page shows.
fn documented() -> Value {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/hints/generic.md");
    let page = fs::read_to_string(page).expect("the page");
    let (_, block) = page.split_once("```json answer\n").expect("a block");
    let (block, _) = block.split_once("```").expect("its end");
    serde_json::from_str(block).expect("JSON")
}

fn keys(value: &Value) -> BTreeSet<&str> {
    let keys = value.as_object().into_iter().flatten();
    keys.map(|(key, _)| &**key).collect()
}

/// So many wait at once, of whom each has a connection.
const AT_ONCE: usize = 40;

/// So many may wait.
const PERMITTED: usize = 32;

#[tokio::test]
async fn who_waits_hears_what_became_of_the_workloads() {
    let (world, hooks, _controller) = with_web("waits").await;
    let image = world.image("app");
    let (status, answer) = hooks.wait(&image, "60s").await;
    assert_eq!(status, 200, "{answer}");
    let [web] = answer["workloads"].as_array().expect("a list").as_slice() else {
        panic!("one workload: {answer}");
    };
    assert_eq!(web["name"], "web");
    assert_eq!(web["rolledOut"], false);

    let next = world.version(2);
    world.push(&next, "app").await;
    let (status, answer) = hooks.wait(&image, "60s").await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(answer["image"], image);
    assert_eq!(answer["digest"], next.root_digest().to_string());
    let page = documented();
    let of_page = &page["workloads"][0];
    let web = &answer["workloads"][0];
    assert_eq!((keys(&answer), keys(web)), (keys(&page), keys(of_page)));
    assert_eq!(
        (&web["state"], &web["rolledOut"]),
        (&json!("UpToDate"), &json!(true))
    );
    assert_eq!(world.patches(), 1);

    let hold = json!({ "metadata": { "annotations": { "kube-autorollout/hold": "true" } } });
    world.patch("web", hold).await;
    world.push(&world.version(3), "app").await;
    let (status, answer) = hooks.wait(&image, "60s").await;
    assert_eq!(status, 409, "{answer}");
    assert_eq!(answer["workloads"][0]["state"], "Held");

    let (status, answer) = hooks
        .wait("registry.example.org/nobody/runs:this", "60s")
        .await;
    assert_eq!((status, &answer["workloads"]), (409, &json!([])));
    assert_eq!(world.patches(), 1);
}

#[tokio::test]
async fn a_wait_that_takes_too_long_says_where_its_workloads_stand() {
    let (world, hooks, _controller) = with_web("late").await;
    let never = world.version(2).behaviour(Behaviour::NeverReady);
    world.push(&never, "app").await;
    let (status, answer) = hooks.wait(&world.image("app"), "3s").await;
    assert_eq!(status, 504, "{answer}");
    assert_eq!(answer["workloads"][0]["state"], "RollingOut");
}

#[tokio::test]
async fn an_image_that_crashes_ends_the_wait_with_its_reason() {
    let (world, hooks, _controller) = with_web("crashes").await;
    let bad = world.version(2).behaviour(Behaviour::Crashes);
    world.push(&bad, "app").await;
    let (status, answer) = hooks.wait(&world.image("app"), "60s").await;
    assert_eq!(status, 409, "{answer}");
    let web = &answer["workloads"][0];
    assert_eq!(web["state"], "NotConverging");
    assert_eq!(web["rolledOut"], true);
}

/// Begins to wait for a rollout that does not go on, and hangs up after a moment; whether it was let in.
async fn waits(world: &World, hooks: &Hooks) -> bool {
    let image = json!({ "image": world.image("app") }).to_string();
    let right = format!("Bearer {SECRET}");
    let answer = hooks.post("/hooks/ci?wait=5m", &right, &image);
    match timeout(Duration::from_secs(5), answer).await {
        Err(_) => true, // it waits
        Ok((status, answer)) => {
            assert_eq!(status, 503, "{answer}");
            assert!(answer.to_lowercase().contains("retry-after: "), "{answer}");
            false
        }
    }
}

#[tokio::test]
async fn who_hangs_up_makes_way_for_another_who_waits() {
    let (world, hooks, controller) = with_web("many-waits").await;
    let never = world.version(2).behaviour(Behaviour::NeverReady);
    world.push(&never, "app").await;
    let all = join_all((0..AT_ONCE).map(|_| waits(&world, &hooks))).await;
    let let_in = all.iter().filter(|let_in| **let_in).count();
    assert_eq!(controller.get("/livez").await, 200);
    let again = eventually(SOON, "another one may wait", async || {
        waits(&world, &hooks)
            .await
            .then_some(())
            .ok_or_else(String::new)
    });
    again.await.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(let_in, PERMITTED);
    assert_eq!(world.patches(), 1);
}

#[tokio::test]
async fn a_leader_that_is_killed_ends_the_wait_which_may_be_repeated() {
    let world = World::new("killed-wait").await;
    world.push(&world.version(1), "app").await;
    world.deploy("web", "app").await;
    let [first, second] = [Hooks::of(&world), Hooks::of(&world)];
    let elected = |hooks: &Hooks| {
        let hints = hooks.configuration();
        format!("leaderElection: {{ enabled: true }}\n{hints}")
    };
    let leader = world.controller(&elected(&first)).await;
    leader.until_all("UpToDate", 1).await;
    let follower = world.controller(&elected(&second)).await;
    let never = world.version(2).behaviour(Behaviour::NeverReady);
    world.push(&never, "app").await;
    let image = world.image("app");
    let body = json!({ "image": image }).to_string();
    let right = format!("Bearer {SECRET}");
    let killed = async {
        world.until_event("web", "RolloutTriggered").await;
        leader.kill();
    };
    let waiting = second.post("/hooks/ci?wait=60s", &right, &body);
    let ((status, answer), ()) = tokio::join!(waiting, killed);
    assert_eq!(status, 503, "{answer}");

    follower.until_all("RollingOut", 1).await;
    let (status, answer) = second.wait(&image, "3s").await;
    assert_eq!(status, 504, "{answer}");
    assert_eq!(answer["workloads"][0]["state"], "RollingOut");
    assert_eq!(world.patches(), 1, "a wait that is repeated causes nothing");
}
