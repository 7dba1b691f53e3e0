//! A controller under test: its process, its log and its metrics.

use std::collections::BTreeMap;

use kube_autorollout_testbed::{controller, workload::eventually};

use super::SOON;
use crate::metrics::Metrics;

/// The controller's process.
pub(crate) struct Controller(pub(crate) controller::Controller);

impl Controller {
    /// Starts it again.
    pub(crate) async fn start(&self) {
        let started = self.0.server().start().await;
        started.unwrap_or_else(|error| panic!("{error}\n{}", self.log()));
    }

    /// Asks it to stop, and gives its exit code.
    pub(crate) async fn stop(&self) -> Option<i32> {
        let status = self.0.server().stop().await.expect("stopped");
        status.and_then(|status| status.code())
    }

    /// Kills it with SIGKILL.
    pub(crate) fn kill(&self) {
        self.0.server().kill();
    }

    /// All that it has logged since it was started last.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.0.log()).unwrap_or_default()
    }

    /// The address of its health and metrics.
    pub(crate) fn url(&self) -> String {
        self.0.url()
    }

    pub(crate) async fn metrics(&self) -> Metrics {
        Metrics(self.0.metrics().await.expect("metrics"))
    }

    /// The status code of its answer to a GET request.
    pub(crate) async fn get(&self, path: &'static str) -> u16 {
        self.0.get(path).await.expect("an answer").0
    }

    /// Waits until it answers a GET request with this status code.
    pub(crate) async fn until_answering(&self, path: &'static str, status: u16) {
        let answering = eventually(SOON, path, async || match self.get(path).await {
            answer if answer == status => Ok(()),
            other => Err(other.to_string()),
        });
        answering.await.unwrap_or_else(|error| panic!("{error}"));
    }

    /// Waits until the metrics are as the condition wants them.
    pub(crate) async fn until(
        &self,
        what: &str,
        mut condition: impl FnMut(&Metrics) -> bool,
    ) -> Metrics {
        let found = eventually(SOON, what, async || {
            let metrics = self.metrics().await;
            if condition(&metrics) {
                Ok(metrics)
            } else {
                Err(metrics.summary())
            }
        });
        found
            .await
            .unwrap_or_else(|error| panic!("{error}\n{}", self.log()))
    }

    /// Waits until this many workloads are in this state, and there are no others.
    pub(crate) async fn until_all(&self, state: &str, workloads: usize) -> Metrics {
        let all = |metrics: &Metrics| {
            let states = metrics.states();
            states == BTreeMap::from([(state.to_owned(), workloads)])
        };
        self.until(&format!("{workloads} workloads {state}"), all)
            .await
    }

    /// Waits until this many rollouts are complete.
    pub(crate) async fn until_completed(&self, rollouts: u64) -> Metrics {
        let completed = |metrics: &Metrics| metrics.rollouts("completed") >= rollouts;
        let what = format!("{rollouts} completed rollouts");
        self.until(&what, completed).await
    }

    /// Waits until the log has a line that holds all the parts.
    pub(crate) async fn until_logged(&self, parts: &[&str]) -> String {
        let what = format!("a line with {parts:?}");
        let found = eventually(SOON, &what, async || {
            let log = self.log();
            let mut lines = log.lines();
            let line = lines.find(|line| parts.iter().all(|part| line.contains(part)));
            line.map(str::to_owned).ok_or_else(|| log.clone())
        });
        found.await.unwrap_or_else(|error| panic!("{error}"))
    }

    /// Waits for this many more checks of a workload.
    pub(crate) async fn checks(&self, name: &str, times: usize) {
        for _ in 0..times {
            let before = self.metrics().await.last_check(name);
            self.until("another check", |metrics| metrics.last_check(name) > before)
                .await;
        }
    }
}
