//! The probes of a container, asked over HTTP as the kubelet does.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::Empty;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use k8s_openapi::{
    api::core::v1::{Container, Probe as Spec},
    apimachinery::pkg::util::intstr::IntOrString,
};
use tokio::time::{Instant, timeout};

use super::place::Error;

/// How often a probe is asked that does not pass.
const EAGER: Duration = Duration::from_millis(200);

/// The three probes of a container; one that it lacks succeeds.
pub(super) struct Probes {
    startup: Option<Probe>,
    readiness: Option<Probe>,
    liveness: Option<Probe>,
}

impl Probes {
    pub(super) fn of(container: &Container) -> Result<Self, Error> {
        let probe = |spec: &Option<Spec>, passed| {
            let spec = spec.as_ref();
            spec.map(|spec| Probe::new(spec, container, passed))
                .transpose()
        };
        Ok(Self {
            startup: probe(&container.startup_probe, false)?,
            readiness: probe(&container.readiness_probe, false)?,
            liveness: probe(&container.liveness_probe, true)?,
        })
    }

    /// Asks whether the container lives, where it is time to: how long it has to end, if it is to be killed. The liveness
    /// probe waits until the startup probe has succeeded.
    pub(super) async fn failed(&mut self, grace: Duration) -> Option<Duration> {
        let probe = match &mut self.startup {
            Some(startup) if !startup.passes => Some(startup),
            _ => self.liveness.as_mut(),
        };
        let probe = probe?;
        probe.ask_if_due().await;
        probe.has_failed().then(|| probe.grace.unwrap_or(grace))
    }

    /// Whether the container is ready, asked where it is time to; not before the startup probe has succeeded.
    pub(super) async fn ready(&mut self) -> bool {
        if self.startup.as_ref().is_some_and(|probe| !probe.passes) {
            return false;
        }
        let Some(readiness) = &mut self.readiness else {
            return true;
        };
        readiness.ask_if_due().await;
        readiness.passes
    }
}

/// One probe and its results.
struct Probe {
    url: http::Uri,
    due: Instant,
    period: Duration,
    patience: Duration,
    /// The grace period of a container that this probe kills; `None` for that of the pod.
    grace: Option<Duration>,
    failure_threshold: i32,
    failures: i32,
    /// From when on a failure counts again: once in a period.
    counts: Instant,
    passes: bool,
    client: Client<HttpConnector, Empty<Bytes>>,
}

impl Probe {
    fn new(spec: &Spec, container: &Container, passes: bool) -> Result<Self, Error> {
        let unfit = || Error::Unfit(format!("a probe of {} is not known here", container.name));
        let action = spec.http_get.as_ref().ok_or_else(unfit)?;
        let port = match &action.port {
            IntOrString::Int(port) => Some(*port),
            IntOrString::String(name) => {
                let mut ports = container.ports.iter().flatten();
                let port = ports.find(|port| port.name.as_ref() == Some(name));
                port.map(|port| port.container_port)
            }
        };
        let path = action.path.as_deref().unwrap_or("/");
        let url = format!("http://127.0.0.1:{}{path}", port.ok_or_else(unfit)?);
        let seconds = |value: Option<i32>, default: u64| {
            let value = value.and_then(|value| u64::try_from(value).ok());
            Duration::from_secs(value.unwrap_or(default))
        };
        let due = Instant::now() + seconds(spec.initial_delay_seconds, 0);
        let grace = spec.termination_grace_period_seconds;
        let grace = grace.and_then(|grace| u64::try_from(grace).ok());
        Ok(Self {
            url: url.parse().map_err(|_| unfit())?,
            due,
            counts: due,
            period: seconds(spec.period_seconds, 10),
            patience: seconds(spec.timeout_seconds, 1),
            grace: grace.map(Duration::from_secs),
            failure_threshold: spec.failure_threshold.unwrap_or(3),
            failures: 0,
            passes,
            client: Client::builder(TokioExecutor::new()).build_http(),
        })
    }

    /// The next request is due a period after this one was sent, however long the response takes.
    async fn ask_if_due(&mut self) {
        let asked = Instant::now();
        if self.due > asked {
            return;
        }
        let answer = timeout(self.patience, self.client.get(self.url.clone())).await;
        let good = answer.is_ok_and(|answer| {
            answer.is_ok_and(|answer| (200..400).contains(&answer.status().as_u16()))
        });
        self.note(good, asked);
    }

    /// A success counts at once, a failure only after enough of them in a row. Until the first success it is asked more
    /// often than the kubelet does, so that tests need not wait for a whole period.
    fn note(&mut self, good: bool, asked: Instant) {
        self.due = asked + self.period;
        if good {
            self.failures = 0;
            self.passes = true;
            return;
        }
        if self.counts <= asked {
            self.counts = asked + self.period;
            self.failures += 1;
        }
        self.passes = self.passes && !self.has_failed();
        if !self.passes {
            self.due = asked + self.period.min(EAGER);
        }
    }

    fn has_failed(&self) -> bool {
        self.failures >= self.failure_threshold
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn liveness(probe: &serde_json::Value) -> Probe {
        let container = json!({ "name": "app", "livenessProbe": probe });
        let container: Container = serde_json::from_value(container).unwrap();
        Probes::of(&container).unwrap().liveness.unwrap()
    }

    #[test]
    fn a_container_is_killed_after_enough_failures_in_a_row_a_period_apart() {
        let mut probe = liveness(&json!({ "httpGet": { "port": 1 }, "initialDelaySeconds": 5 }));
        let begin = probe.due;
        assert!(
            begin > Instant::now(),
            "its first time comes after the delay"
        );
        let at = |periods| begin + Duration::from_secs(10) * periods;
        let table = [
            (0, false, 1),
            (1, false, 2),
            (2, true, 0),
            (3, false, 1),
            (4, false, 2),
            (5, false, 3),
        ];
        for (period, good, failures) in table {
            assert_eq!(probe.due, at(period));
            assert!(!probe.has_failed());
            probe.note(good, at(period));
            assert_eq!(probe.failures, failures);
        }
        assert!(probe.has_failed());
    }

    #[tokio::test]
    async fn no_answer_in_time_is_a_failure_and_its_grace_goes_before_that_of_the_pod() {
        let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = silent.local_addr().unwrap().port();
        let probe = json!({
            "httpGet": { "port": port },
            "timeoutSeconds": 1,
            "failureThreshold": 1,
            "terminationGracePeriodSeconds": 3,
        });
        let container = json!({ "name": "app", "livenessProbe": probe });
        let container: Container = serde_json::from_value(container).unwrap();
        let mut probes = Probes::of(&container).unwrap();
        let killed = probes.failed(Duration::from_secs(30)).await;
        assert_eq!(killed, Some(Duration::from_secs(3)));
    }
}
