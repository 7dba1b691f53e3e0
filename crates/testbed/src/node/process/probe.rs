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

use super::Error;

/// How often a probe is asked that does not pass.
const EAGER: Duration = Duration::from_millis(200);

/// What the probes say together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The container is to be stopped.
    Unhealthy,
    /// It lives, and is ready or not.
    Ready(bool),
}

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

    /// Asks the probes whose time has come; the others wait until the startup probe has succeeded.
    pub(super) async fn look(&mut self) -> Verdict {
        if let Some(startup) = self.startup.as_mut().filter(|probe| !probe.passes) {
            startup.ask_if_due().await;
            return if startup.has_failed() {
                Verdict::Unhealthy
            } else {
                Verdict::Ready(false)
            };
        }
        if let Some(liveness) = &mut self.liveness {
            liveness.ask_if_due().await;
            if liveness.has_failed() {
                return Verdict::Unhealthy;
            }
        }
        let Some(readiness) = &mut self.readiness else {
            return Verdict::Ready(true);
        };
        readiness.ask_if_due().await;
        Verdict::Ready(readiness.passes)
    }
}

/// One probe and what it has said.
struct Probe {
    url: http::Uri,
    due: Instant,
    period: Duration,
    patience: Duration,
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
        Ok(Self {
            url: url.parse().map_err(|_| unfit())?,
            due,
            counts: due,
            period: seconds(spec.period_seconds, 10),
            patience: seconds(spec.timeout_seconds, 1),
            failure_threshold: spec.failure_threshold.unwrap_or(3),
            failures: 0,
            passes,
            client: Client::builder(TokioExecutor::new()).build_http(),
        })
    }

    /// A success counts at once, a failure only after enough of them in a row. Until the first success it is asked more
    /// often than the kubelet does, so that tests need not wait for a whole period.
    async fn ask_if_due(&mut self) {
        if self.due > Instant::now() {
            return;
        }
        let answer = timeout(self.patience, self.client.get(self.url.clone())).await;
        let good = answer.is_ok_and(|answer| {
            answer.is_ok_and(|answer| (200..400).contains(&answer.status().as_u16()))
        });
        let now = Instant::now();
        self.due = now + self.period;
        if good {
            self.failures = 0;
            self.passes = true;
            return;
        }
        if self.counts <= now {
            self.counts = now + self.period;
            self.failures += 1;
        }
        self.passes = self.passes && !self.has_failed();
        if !self.passes {
            self.due = now + self.period.min(EAGER);
        }
    }

    fn has_failed(&self) -> bool {
        self.failures >= self.failure_threshold
    }
}
