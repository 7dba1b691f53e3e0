//! What a phase costs: requests of both kinds, CPU time and memory.

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;
use kube_autorollout_testbed::{
    Namespace, Testbed,
    control_plane::Request,
    controller::{Controller, SERVICE_ACCOUNT},
    process::Mark,
};
use tokio::time::Instant;

use super::{Failure, figures::Phase};

/// The agents that are not the program under test.
const TESTBED: &str = "testbed-";

/// Counts from the moment it was made.
pub(super) struct Meter<'a> {
    testbed: &'a Testbed,
    user: String,
    audit: Mark,
    registry: Mark,
    cpu: Duration,
    begun: Instant,
}

impl<'a> Meter<'a> {
    /// Counts what the controller in this namespace costs from now on.
    pub(super) fn start(
        testbed: &'a Testbed,
        namespace: &Namespace,
        controller: Option<&Controller>,
    ) -> Result<Self, Failure> {
        let cpu = match controller {
            Some(controller) => {
                controller.reset_peak_memory()?;
                controller.cpu_time()?
            }
            None => Duration::ZERO,
        };
        Ok(Self {
            testbed,
            user: format!(
                "system:serviceaccount:{}:{SERVICE_ACCOUNT}",
                namespace.name()
            ),
            audit: testbed.control_plane().audit().mark()?,
            registry: testbed.registry().log().mark()?,
            cpu,
            begun: Instant::now(),
        })
    }

    /// What was asked of the API server since.
    pub(super) fn asked(&self) -> Result<Vec<Request>, Failure> {
        let audit = self.testbed.control_plane().audit();
        Ok(audit.requests_since(self.audit, |request| request.user == self.user)?)
    }

    /// When workloads were patched since.
    pub(super) fn patches(&self) -> Result<Vec<Timestamp>, Failure> {
        let asked = self.asked()?.into_iter();
        Ok(asked
            .filter(|request| request.verb == "patch" && request.code == 200)
            .map(|request| request.at)
            .collect())
    }

    /// Whether the registry was asked since.
    pub(super) fn has_asked_registry(&self) -> Result<bool, Failure> {
        let log = self.testbed.registry().log();
        let mut requests = log.requests_since(self.registry)?.into_iter();
        Ok(requests.any(|request| !request.user_agent.starts_with(TESTBED)))
    }

    /// The figures up to now.
    pub(super) fn read(
        self,
        name: &'static str,
        controller: &Controller,
    ) -> Result<Phase, Failure> {
        let mut api = BTreeMap::new();
        for request in self.asked()? {
            let what = format!("{} {}", request.verb, request.resource);
            *api.entry(what).or_default() += 1;
        }
        let mut registry = BTreeMap::new();
        for request in self
            .testbed
            .registry()
            .log()
            .requests_since(self.registry)?
        {
            if !request.user_agent.starts_with(TESTBED) {
                *registry.entry(request.method).or_default() += 1;
            }
        }
        Ok(Phase {
            name,
            took: self.begun.elapsed(),
            api,
            registry,
            cpu: controller.cpu_time()?.saturating_sub(self.cpu),
            resident: controller.resident_memory()?,
            peak: controller.peak_memory()?,
            latencies: None,
            remarks: Vec::new(),
        })
    }
}
