//! The workloads that the program under test watches.

use std::{path::Path, time::Duration};

use kube_autorollout_testbed::{
    Namespace, Testbed,
    controller::{self, Controller, Metrics},
    forwarder::Forwarder,
    image::Pusher,
    program::Failure,
    workload::{each_thousand, many::Many},
};
use serde_json::json;
use tokio::time::{Instant, sleep};

use super::meter::Meter;
use crate::arguments::Options;

/// How long the program may take for whatever is waited for, for each thousand workloads.
const DONE_WITHIN: Duration = Duration::from_secs(180);

/// Between two polls, and again for each thousand workloads: each costs the program some CPU time.
const POLL: Duration = Duration::from_millis(250);

/// A testbed with a namespace for one program.
pub(crate) struct Cluster<'a> {
    pub(crate) testbed: &'a Testbed,
    pub(crate) namespace: Namespace,
    pub(crate) many: Many,
    pub(crate) pusher: Pusher,
    pub(crate) interval: Duration,
    pub(crate) forwarder: Forwarder,
}

impl<'a> Cluster<'a> {
    /// Pushes the first images and creates the workloads; the registry is near until they are up.
    pub(crate) async fn set_up(
        testbed: &'a Testbed,
        name: &str,
        arguments: &Options,
    ) -> Result<Self, Failure> {
        let registry = testbed.registry().host();
        let forwarder = Forwarder::start(registry.parse()?, Duration::ZERO).await?;
        let namespace = testbed.namespace(name).await?;
        let rights = controller::rights(&[]);
        controller::grant(namespace.client(), namespace.name(), rights).await?;
        let pusher = Pusher::new(registry)?;
        let many = deployed(testbed, &namespace, &pusher, forwarder.host(), arguments).await?;
        forwarder.set_round_trip(arguments.latency);
        forwarder.sever(); // connections of the nodes, which would stay fast
        Ok(Self {
            testbed,
            many,
            namespace,
            pusher,
            interval: arguments.interval,
            forwarder,
        })
    }

    /// Starts the program on these workloads.
    pub(crate) async fn start(&self, program: &Path) -> Result<Controller, Failure> {
        let configuration = json!({
            "interval": format!("{}s", self.interval.as_secs()),
            "registries": [{"hostnamePattern": self.forwarder.host(), "plainHttp": true}],
        });
        let configuration = configuration.to_string();
        let testbed = self.testbed;
        let started =
            testbed.start_controller(&self.namespace, program, &configuration, "/health/ready");
        Ok(started.await?)
    }

    /// Waits until the program has this many workloads, all up to date, or for two ticks if it has no such metric.
    pub(crate) async fn settled(
        &self,
        controller: &Controller,
        workloads: usize,
    ) -> Result<(), Failure> {
        let is_settled = |metrics: &Metrics| {
            let count = |labels: &[_]| metrics.count("kube_autorollout_workloads", labels);
            let [all, done] = [count(&[]), count(&[("state", "UpToDate")])];
            all == workloads as u64 && done == all
        };
        let mut has_metrics = None;
        self.wait("the program answers", async || {
            let metrics = controller.metrics().await.ok();
            has_metrics = metrics.map(|metrics| has_build_info(&metrics));
            Ok(has_metrics.is_some())
        })
        .await?;
        if has_metrics != Some(true) {
            sleep(self.interval * 2).await;
            return Ok(());
        }
        // No response for once, of a program that is busy, is not its end
        self.wait("all workloads are up to date", async || {
            Ok(controller.metrics().await.is_ok_and(|m| is_settled(&m)))
        })
        .await
    }

    /// Waits until this many workloads are patched.
    pub(crate) async fn patched(&self, meter: &Meter<'_>, workloads: usize) -> Result<(), Failure> {
        self.wait("every workload is patched", async || {
            Ok(meter.patches()?.len() >= workloads)
        })
        .await
    }

    /// Waits for something, polling now and then.
    pub(crate) async fn wait(
        &self,
        what: &str,
        mut done: impl AsyncFnMut() -> Result<bool, Failure>,
    ) -> Result<(), Failure> {
        let workloads = self.many.workloads;
        let deadline = Instant::now() + each_thousand(DONE_WITHIN, workloads);
        while !done().await? {
            if Instant::now() > deadline {
                return Err(format!("it took too long until {what}").into());
            }
            sleep(each_thousand(POLL, workloads)).await;
        }
        Ok(())
    }
}

/// Pushes the first images and deploys the workloads, which pull from `host`.
pub(super) async fn deployed(
    testbed: &Testbed,
    namespace: &Namespace,
    pusher: &Pusher,
    host: &str,
    arguments: &Options,
) -> Result<Many, Failure> {
    let many = Many {
        repository: namespace.name().to_owned(),
        workloads: arguments.workloads,
        tags: arguments.tags,
        kinds: arguments.kinds.clone(),
    };
    many.push_all(pusher, "first", "build 1").await?;
    if arguments.copies {
        many.deploy_copies(testbed, namespace, host).await?;
    } else {
        many.deploy(namespace, host).await?;
    }
    Ok(many)
}

fn has_build_info(metrics: &Metrics) -> bool {
    let mut lines = metrics.lines("kube_autorollout_build_info", &[]);
    lines.next().is_some()
}
