//! The cost of a phase: requests of both kinds, CPU time and memory.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use jiff::Timestamp;
use kube_autorollout_testbed::{
    Namespace, Testbed,
    control_plane::Request,
    controller::{self, Controller},
    process::Mark,
    program::Failure,
    registry,
};
use tokio::time::Instant;

use super::{figures::Phase, others::Others};

/// The agents that are not the program under test.
const TESTBED: &str = "testbed-";

/// Part of the path of a manifest.
const MANIFESTS: &str = "/manifests/";

/// Counts from the moment it was made.
pub(crate) struct Meter<'a> {
    testbed: &'a Testbed,
    user: String,
    asked: RefCell<Asked>,
    registry: Mark,
    log: Mark,
    cpu: Duration,
    others: Others,
    begun: Instant,
}

/// The requests to the API server up to a mark in its log, so that nothing is read twice.
struct Asked {
    read: Mark,
    requests: Vec<Request>,
}

impl<'a> Meter<'a> {
    /// Starts to measure the controller in this namespace.
    pub(crate) fn start(
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
            user: controller::user(namespace.name()),
            asked: RefCell::new(Asked {
                read: testbed.control_plane().audit().mark()?,
                requests: Vec::new(),
            }),
            registry: testbed.registry().log().mark()?,
            log: match controller {
                Some(controller) => controller.log_mark()?,
                None => Mark::default(),
            },
            cpu,
            others: Others::now(testbed),
            begun: Instant::now(),
        })
    }

    /// The requests to the API server since.
    pub(crate) fn asked(&self) -> Result<Vec<Request>, Failure> {
        let mut asked = self.asked.borrow_mut();
        let Asked { read, requests } = &mut *asked;
        let audit = self.testbed.control_plane().audit();
        requests.extend(audit.news_of(&self.user, read)?);
        Ok(requests.clone())
    }

    /// The CPU time of the program since.
    pub(crate) fn cpu(&self, controller: &Controller) -> Result<Duration, Failure> {
        Ok(controller.cpu_time()?.saturating_sub(self.cpu))
    }

    /// The CPU time of everything else since.
    pub(crate) fn others(&self) -> Others {
        Others::now(self.testbed).since(&self.others)
    }

    /// When workloads were patched since.
    pub(crate) fn patches(&self) -> Result<Vec<Timestamp>, Failure> {
        let asked = self.asked()?.into_iter();
        Ok(asked
            .filter(|request| request.verb == "patch" && request.code == 200)
            .map(|request| request.done)
            .collect())
    }

    /// How many manifests the registry was asked for since, by their tags or digests.
    pub(crate) fn manifests(&self) -> Result<usize, Failure> {
        let requests = self.asked_of_registry()?.into_iter();
        let paths = requests.map(|request| request.path);
        let manifests = paths.filter(|path| path.contains(MANIFESTS));
        Ok(manifests.collect::<BTreeSet<_>>().len())
    }

    fn asked_of_registry(&self) -> Result<Vec<registry::Request>, Failure> {
        let log = self.testbed.registry().log();
        let mut requests = log.requests_since(self.registry)?;
        requests.retain(|request| !request.user_agent.starts_with(TESTBED));
        Ok(requests)
    }

    /// The figures up to now.
    pub(crate) fn read(
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
        for request in self.asked_of_registry()? {
            *registry.entry(operation(&request)).or_default() += 1;
        }
        Ok(Phase {
            name,
            took: self.begun.elapsed(),
            api,
            registry,
            log_lines: controller.log_lines_since(self.log)?,
            cpu: self.cpu(controller)?,
            resident: controller.resident_memory()?,
            peak: controller.peak_memory()?,
            others: self.others(),
            latencies: None,
            timeline: None,
            remarks: Vec::new(),
        })
    }
}

/// A request in the words of the distribution specification, as `HEAD manifest`.
fn operation(request: &registry::Request) -> String {
    let what = match &*request.path {
        path if path.contains(MANIFESTS) => "manifest",
        path if path.contains("/blobs/") => "blob",
        "/v2/" => "ping",
        _ => "other",
    };
    format!("{} {what}", request.method)
}
