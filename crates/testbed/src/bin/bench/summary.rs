//! A few figures, each measured in a namespace of its own: size, memory, and how fast workloads are rolled out.

mod figures;
mod hinted;

use std::{fs, path::Path, time::Duration};

use jiff::Timestamp;
use kube_autorollout_testbed::{
    Namespace, Testbed,
    clock::now,
    control_plane::{NodeGrace, Request},
    controller::{self, Controller},
    image::Pusher,
    program::Failure,
    workload::{Kind, eventually, many::Many},
};
use serde_json::json;
use tokio::time::sleep;

use crate::{arguments::PROGRAM, ready::up_to_date};

pub(crate) use figures::Figures;

/// How many workloads are watched at once.
const WORKLOADS: usize = 500;

/// How many workloads are rolled out at once, on how many tags.
const STALE: (usize, usize) = (100, 10);

/// How many workloads a leader has that is killed, on how many tags; one tag moves then.
const LED: (usize, usize) = (WORKLOADS, 50);

/// How often a leader is killed; the longest time until another acts counts.
const KILLS: usize = 3;

/// How long the controller may take to check, or to roll out, everything.
const DONE_WITHIN: Duration = Duration::from_secs(120);

/// After this, memory that a start took for a moment is given back, and some checks have been made.
const SETTLED_AFTER: Duration = Duration::from_secs(15);

/// How exactly the first request is timed.
const POLL: Duration = Duration::from_millis(2);

/// Measures everything.
pub(crate) async fn measure() -> Result<Figures, Failure> {
    let (testbed, program) = PROGRAM.prepared(None, NodeGrace::default()).await?;
    let idle = idle(&testbed, &program).await?;
    let busy = busy(&testbed, &program).await?;
    let rolled_out = roll_out(&testbed, &program).await?;
    let failed_over = fail_over(&testbed, &program).await?;
    let hinted = hinted::hinted(&testbed, &program).await?;
    Ok(Figures {
        binary: fs::metadata(&program)?.len(),
        idle,
        workloads: WORKLOADS,
        busy,
        stale: STALE,
        rolled_out,
        failed_over,
        hinted: hinted.median,
        hinted_at_most: hinted.longest,
    })
}

async fn idle(testbed: &Testbed, program: &Path) -> Result<u64, Failure> {
    PROGRAM.progress("memory without workloads");
    let namespace = testbed.namespace("idle").await?;
    let controller = start(testbed, &namespace, program).await?;
    sleep(SETTLED_AFTER).await;
    Ok(controller.resident_memory()?)
}

async fn busy(testbed: &Testbed, program: &Path) -> Result<u64, Failure> {
    PROGRAM.progress(&format!("memory with {WORKLOADS} workloads"));
    let namespace = testbed.namespace("busy").await?;
    let (_, tags) = STALE;
    let many = many("busy", (WORKLOADS, tags));
    let pusher = Pusher::new(testbed.registry().host())?;
    many.push_all(&pusher, "first", "build").await?;
    many.deploy(&namespace, testbed.registry().host()).await?;
    let controller = start(testbed, &namespace, program).await?;
    up_to_date(&controller, WORKLOADS).await?;
    sleep(SETTLED_AFTER).await;
    Ok(controller.resident_memory()?)
}

/// The controller starts when all workloads are stale already, and finds them at its first check.
async fn roll_out(testbed: &Testbed, program: &Path) -> Result<Duration, Failure> {
    let (count, tags) = STALE;
    PROGRAM.progress(&format!("{count} stale workloads on {tags} tags"));
    let namespace = testbed.namespace("stale").await?;
    let many = many("stale", STALE);
    let pusher = Pusher::new(testbed.registry().host())?;
    many.push_all(&pusher, "first", "build").await?;
    many.deploy(&namespace, testbed.registry().host()).await?;
    many.push_all(&pusher, "second", "build").await?;
    let (first, controller) =
        tokio::try_join!(first_request(testbed), start(testbed, &namespace, program))?;
    let patched = patches(testbed, &namespace, (Timestamp::UNIX_EPOCH, count)).await?;
    up_to_date(&controller, count).await?;
    let last = patched.into_iter().max().unwrap_or(first);
    Ok(last.duration_since(first).unsigned_abs())
}

/// From the end of a leader of many workloads to the first patch of the replica that follows it: the longest of some.
async fn fail_over(testbed: &Testbed, program: &Path) -> Result<Duration, Failure> {
    PROGRAM.progress("fail-over");
    let namespace = testbed.namespace("fail-over").await?;
    let many = many("fail-over", LED);
    let pusher = Pusher::new(testbed.registry().host())?;
    many.push_all(&pusher, "first", "build").await?;
    many.deploy(&namespace, testbed.registry().host()).await?;
    grant(&namespace).await?;
    let mut leader = run(testbed, &namespace, program, true).await?;
    up_to_date(&leader, WORKLOADS).await?;
    let mut follower = run(testbed, &namespace, program, true).await?;
    let mut longest = Duration::ZERO;
    for kill in 1..=KILLS {
        leader.server().kill();
        let killed = now();
        many.push(&pusher, 0, &kill.to_string(), "build").await?;
        let (workloads, tags) = LED;
        let patched = patches(testbed, &namespace, (killed, workloads / tags)).await?;
        let first = patched.into_iter().min().unwrap_or(killed);
        longest = longest.max(first.duration_since(killed).unsigned_abs());
        up_to_date(&follower, WORKLOADS).await?;
        leader.server().start().await?;
        std::mem::swap(&mut leader, &mut follower);
    }
    Ok(longest)
}

fn many(repository: &str, (workloads, tags): (usize, usize)) -> Many {
    Many {
        repository: repository.to_owned(),
        workloads,
        tags,
        kinds: vec![Kind::Deployment],
    }
}

/// When the controller asks the registry first, from now on.
async fn first_request(testbed: &Testbed) -> Result<Timestamp, Failure> {
    let log = testbed.registry().log();
    let mark = log.mark()?;
    loop {
        let mut requests = log.requests_since(mark)?.into_iter();
        if requests.any(|request| request.user_agent.starts_with("kube-autorollout")) {
            return Ok(now());
        }
        sleep(POLL).await;
    }
}

/// Waits for this many patches, and returns when they were received by the API server.
async fn patches(
    testbed: &Testbed,
    namespace: &Namespace,
    (since, count): (Timestamp, usize),
) -> Result<Vec<Timestamp>, Failure> {
    let user = controller::user(namespace.name());
    let is_patch = |request: &Request| {
        request.user == user && request.verb == "patch" && request.resource == "deployments"
    };
    let audit = testbed.control_plane().audit();
    let patched = eventually(DONE_WITHIN, "every workload is patched", async || {
        let patches = audit
            .requests(is_patch)
            .map_err(|error| error.to_string())?;
        let done = patches.iter().filter(|patch| patch.code == 200);
        let done: Vec<_> = done
            .map(|patch| patch.at)
            .filter(|at| *at >= since)
            .collect();
        if done.len() >= count {
            Ok(done)
        } else {
            Err(format!("{} of {count} are", done.len()))
        }
    });
    Ok(patched.await?)
}

async fn start(
    testbed: &Testbed,
    namespace: &Namespace,
    program: &Path,
) -> Result<Controller, Failure> {
    grant(namespace).await?;
    run(testbed, namespace, program, false).await
}

async fn grant(namespace: &Namespace) -> Result<(), Failure> {
    let (client, rights) = (namespace.client(), controller::rights(&[]));
    Ok(controller::grant(client, namespace.name(), rights).await?)
}

/// Starts a controller with the rights that were granted before, with or without leader election.
async fn run(
    testbed: &Testbed,
    namespace: &Namespace,
    program: &Path,
    elected: bool,
) -> Result<Controller, Failure> {
    let configuration = json!({
        "interval": "5s",
        "leaderElection": {"enabled": elected},
        "registries": [{"hostnamePattern": testbed.registry().host(), "plainHttp": true}],
    });
    let configuration = configuration.to_string();
    let started = testbed.start_controller(namespace, program, &configuration, "/readyz");
    Ok(started.await?)
}
