//! Two registries with equally many workloads, one of which does not respond: how often the other's tags are checked.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    ops::Range,
    path::Path,
    time::Duration,
};

use jiff::Timestamp;
use kube_autorollout_testbed::{
    Namespace, Testbed,
    clock::now,
    control_plane::NodeGrace,
    controller::{self, Controller, SERVICE_ACCOUNT},
    fault_proxy::{FaultProxy, Mode, TagResponse},
    image::Pusher,
    program::Failure,
    workload::many::Many,
};
use serde_json::{Value, json};
use tokio::time::sleep;

use super::cluster::deployed;
use crate::{
    arguments::{Options, PROGRAM},
    ready::up_to_date,
};

/// For how many ticks each trouble lasts.
const TICKS: u32 = 6;

/// The agents that are not the program under test.
const TESTBED: &str = "testbed-";

/// A registry with workloads of its own.
struct Registry {
    many: Many,
    namespace: Namespace,
    way: FaultProxy,
}

/// The checks of the healthy registry's tags during an outage of the other.
#[derive(Debug)]
pub(crate) struct Watched {
    trouble: &'static str,
    /// How many ticks were watched from beginning to end.
    ticks: usize,
    /// The number of tags, by the number of ticks in which they were checked.
    checked: BTreeMap<usize, usize>,
    /// How many requests the other registry received during that time.
    requests: usize,
    cpu: Duration,
    resident: u64,
}

/// Everything that was watched.
#[derive(Debug)]
pub(crate) struct Report {
    workloads: usize,
    tags: usize,
    interval: Duration,
    watched: Vec<Watched>,
}

impl Report {
    /// Whether every tag of the healthy registry was checked in every tick.
    pub(crate) fn is_fine(&self) -> bool {
        let complete =
            |watched: &Watched| watched.checked.keys().all(|ticks| *ticks == watched.ticks);
        self.watched.iter().all(complete)
    }

    pub(crate) fn json(&self) -> Value {
        let watched = self.watched.iter().map(|watched| {
            json!({
                "trouble": watched.trouble,
                "ticks": watched.ticks,
                "tags_by_ticks_in_which_they_were_checked": watched.checked,
                "requests_to_the_other": watched.requests,
                "cpu_seconds": watched.cpu.as_secs_f64(),
                "resident_bytes": watched.resident,
            })
        });
        json!({
            "workloads_of_each_registry": self.workloads,
            "tags_of_each_registry": self.tags,
            "interval_seconds": self.interval.as_secs_f64(),
            "watched": watched.collect::<Vec<_>>(),
        })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            formatter,
            "{} workloads on {} tags of each of two registries, checked every {} s",
            self.workloads,
            self.tags,
            self.interval.as_secs()
        )?;
        for watched in &self.watched {
            write!(formatter, "{watched}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Watched {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            formatter,
            "{}: {} requests to that registry in {} ticks, {:.2} s of CPU, {} MiB resident",
            self.trouble,
            self.requests,
            self.ticks,
            self.cpu.as_secs_f64(),
            self.resident / 1024 / 1024
        )?;
        for (ticks, tags) in &self.checked {
            writeln!(
                formatter,
                "  {tags} tags of the other were checked in {ticks} of {} ticks",
                self.ticks
            )?;
        }
        Ok(())
    }
}

/// Watches the healthy registry while the other responds with 503, and while it does not respond.
pub(crate) async fn measure(arguments: &Options) -> Result<Report, Failure> {
    let (testbed, program) = PROGRAM
        .prepared(arguments.program.as_deref(), NodeGrace::default())
        .await?;
    PROGRAM.progress("the workloads of both registries come up");
    let healthy = Registry::set_up(&testbed, "healthy", arguments).await?;
    let troubled = Registry::set_up(&testbed, "troubled", arguments).await?;
    healthy.way.set(Mode::Slow(arguments.latency));
    let both = [&healthy, &troubled];
    let controller = start(&testbed, &program, both, arguments.interval).await?;
    up_to_date(&controller, 2 * arguments.workloads).await?;
    let mut watched = Vec::new();
    let unavailable = http::StatusCode::SERVICE_UNAVAILABLE;
    for (trouble, mode) in [
        ("503 at once", Mode::Refuses(unavailable)),
        ("no answer", Mode::Silent),
    ] {
        PROGRAM.progress(trouble);
        troubled.way.set(mode);
        let seen = watch(
            trouble,
            &healthy,
            &troubled,
            &controller,
            arguments.interval,
        )
        .await?;
        PROGRAM.progress(&format!("measured\n{seen}"));
        watched.push(seen);
        troubled.way.set(Mode::Healthy);
        up_to_date(&controller, 2 * arguments.workloads).await?;
    }
    Ok(Report {
        workloads: arguments.workloads,
        tags: arguments.tags,
        interval: arguments.interval,
        watched,
    })
}

impl Registry {
    async fn set_up(testbed: &Testbed, name: &str, arguments: &Options) -> Result<Self, Failure> {
        let host = testbed.registry().host();
        let way = FaultProxy::start(host).await?;
        let namespace = testbed.namespace(name).await?;
        let pusher = Pusher::new(host)?;
        let many = deployed(testbed, &namespace, &pusher, way.host(), arguments).await?;
        Ok(Self {
            many,
            namespace,
            way,
        })
    }
}

async fn start(
    testbed: &Testbed,
    program: &Path,
    registries: [&Registry; 2],
    interval: Duration,
) -> Result<Controller, Failure> {
    let [home, other] = registries.map(|registry| &registry.namespace);
    let rights = || controller::rights(&[]);
    controller::grant(home.client(), home.name(), rights()).await?;
    let name = SERVICE_ACCOUNT;
    controller::permit_from(home.client(), home.name(), other.name(), name, rights()).await?;
    let ways = registries.map(|registry| registry.way.host());
    let configuration = json!({
        "interval": format!("{}s", interval.as_secs()),
        "registries": ways.map(|host| json!({"hostnamePattern": host, "plainHttp": true})),
        "watch": { "namespaces": [home.name(), other.name()] },
    });
    let configuration = configuration.to_string();
    let started = testbed.start_controller(home, program, &configuration, "/health/ready");
    Ok(started.await?)
}

/// Watches whole ticks, which are multiples of the interval since 1970.
async fn watch(
    trouble: &'static str,
    healthy: &Registry,
    troubled: &Registry,
    controller: &Controller,
    interval: Duration,
) -> Result<Watched, Failure> {
    let (cpu, requests) = (controller.cpu_time()?, troubled.way.requests());
    let begun = healthy.way.tag_responses().len();
    let first = now();
    // The present tick is not watched, and the last one ends within this time
    sleep(interval * (TICKS + 1)).await;
    let last = now();
    let answers = healthy.way.tag_responses();
    let answers = answers.get(begun..).unwrap_or_default();
    let ticks = tick(first, interval) + 1..tick(last, interval);
    let checked = checked(answers, &ticks, interval, healthy.many.tags);
    Ok(Watched {
        trouble,
        ticks: usize::try_from(ticks.end - ticks.start)?,
        checked,
        requests: troubled.way.requests() - requests,
        cpu: controller.cpu_time()?.saturating_sub(cpu),
        resident: controller.resident_memory()?,
    })
}

/// The number of the tick to which a moment belongs.
fn tick(at: Timestamp, interval: Duration) -> i64 {
    let interval = i64::try_from(interval.as_millis())
        .unwrap_or(i64::MAX)
        .max(1);
    at.as_millisecond().div_euclid(interval)
}

/// The number of tags, by the number of these ticks in which they were checked.
fn checked(
    answers: &[TagResponse],
    ticks: &Range<i64>,
    interval: Duration,
    tags: usize,
) -> BTreeMap<usize, usize> {
    let mut by_tag: BTreeMap<String, BTreeSet<i64>> =
        (0..tags).map(|tag| (tag.to_string(), [].into())).collect();
    for answer in answers
        .iter()
        .filter(|answer| !answer.user_agent.starts_with(TESTBED))
    {
        let tick = tick(answer.at, interval);
        if ticks.contains(&tick)
            && let Some(of_tag) = by_tag.get_mut(&answer.tag)
        {
            of_tag.insert(tick);
        }
    }
    let mut counts = BTreeMap::new();
    for of_tag in by_tag.values() {
        *counts.entry(of_tag.len()).or_default() += 1;
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_counted_by_the_ticks_in_which_they_were_told() {
        let answered = |tag: &str, second, user_agent: &str| TagResponse {
            repository: "healthy".to_owned(),
            tag: tag.to_owned(),
            digest: String::new(),
            user_agent: user_agent.to_owned(),
            at: Timestamp::from_second(second).expect("a small number"),
        };
        let ours = "kube-autorollout/1";
        let all = [
            answered("0", 99, ours), // before the first tick
            answered("0", 100, ours),
            answered("0", 109, ours),
            answered("0", 111, ours),
            answered("1", 112, ours),
            answered("1", 101, "testbed-kubelet"),
            answered("2", 120, ours), // after the last one
        ];
        let interval = Duration::from_secs(10);
        let counts = checked(&all, &(10..12), interval, 3);
        assert_eq!(counts, BTreeMap::from([(0, 1), (1, 1), (2, 1)]));
    }
}
