//! Builds a history from the logs.

use std::{
    collections::{BTreeMap, HashMap},
    fs,
};

use jiff::{SignedDuration, Timestamp};

use super::{
    error::Error,
    history::{Answer, History, Name, Patch, Run, Unanswered},
    plan::RETRY_AFTER,
    workloads,
    world::World,
};
use crate::{control_plane::Request, fault_proxy::FaultProxy, node::Ran};

/// Where a patch has its annotations.
const ANNOTATIONS: &str = "/spec/template/metadata/annotations";

/// The `User-Agent` of the controller's questions begins with this.
const USER_AGENT: &str = "kube-autorollout/";

impl World<'_> {
    /// All that is known of the run so far.
    pub(super) async fn history(&self) -> Result<History, Error> {
        let (patches, others): (Vec<_>, Vec<_>) = self
            .asked()?
            .into_iter()
            .filter(is_patch)
            .partition(|request| request.code == 200);
        let failed = others.into_iter().filter(|request| request.code >= 500);
        let mut patches: Vec<Patch> = patches.into_iter().map(patch).collect();
        patches.sort_by_key(|patch| patch.at);
        Ok(History {
            answers: self.answers(),
            patches,
            failed: failed.map(patch).collect(),
            unanswered: self.logs().iter().flat_map(|log| unanswered(log)).collect(),
            retry_after: RETRY_AFTER
                .map(|wait| wait.try_into().unwrap_or(SignedDuration::MAX))
                .into(),
            ..self.with_pods().await?
        })
    }

    /// The history from the record and the nodes, without the logs of servers.
    pub(super) fn present(&self) -> History {
        let notes = self.notes.content();
        History {
            subjects: notes.subjects.clone(),
            moves: notes.moves.clone(),
            runs: self
                .all_nodes()
                .into_iter()
                .flat_map(|nodes| runs(nodes.journal()))
                .collect(),
            ..History::default()
        }
    }

    /// The same, with the pods as the API server knows them.
    pub(super) async fn with_pods(&self) -> Result<History, Error> {
        Ok(History {
            pods: self.pods().await?,
            ..self.present()
        })
    }

    /// The controller's requests to the API server.
    pub(super) fn asked(&self) -> Result<Vec<Request>, Error> {
        let audit = self.testbed.control_plane().audit();
        Ok(audit.requests_since(self.mark, |request| request.user == self.user)?)
    }

    /// All that the replicas of the controller have logged.
    pub(super) fn logs(&self) -> Vec<String> {
        let replicas = self.replicas.iter();
        replicas
            .map(|replica| fs::read_to_string(replica.log()).unwrap_or_default())
            .collect()
    }

    pub(super) fn answers(&self) -> Vec<Answer> {
        let answers = self.ways.iter().flat_map(FaultProxy::tag_responses);
        let ours = answers.filter(|answer| answer.user_agent.starts_with(USER_AGENT));
        ours.map(|answer| Answer {
            tag: format!("{}:{}", answer.repository, answer.tag),
            at: answer.at,
            digest: answer.digest,
        })
        .collect()
    }
}

/// Whether it patches a workload.
fn is_patch(request: &Request) -> bool {
    let kinds = ["deployments", "statefulsets", "daemonsets"];
    request.verb == "patch"
        && request.subresource.is_empty()
        && kinds.contains(&request.resource.as_str())
}

/// The patches without a response, from a log of the controller.
fn unanswered(log: &str) -> impl Iterator<Item = Unanswered> {
    let lines = log.lines();
    let lines = lines.filter(|line| line.contains("the response to the patch was lost"));
    lines.filter_map(|line| {
        let (at, _) = line.split_once(' ')?;
        let (_, workload) = line.rsplit_once(" workload=")?;
        let (_, workload) = workload.split_once(' ')?;
        Some(Unanswered {
            workload: workload.trim().to_owned(),
            at: at.parse().ok()?,
        })
    })
}

/// A patch of a workload.
fn patch(request: Request) -> Patch {
    let body = request.body.unwrap_or_default();
    let annotation = |key: &str| {
        let annotations = body.pointer(ANNOTATIONS)?;
        annotations.get(format!("kube-autorollout/{key}"))?.as_str()
    };
    // One without a record has no cause, which is a violation
    let record = annotation("digests").and_then(|text| serde_json::from_str(text).ok());
    let attempts = annotation("attempts").and_then(|text| serde_json::from_str(text).ok());
    let pins = annotation("pins").and_then(|text| serde_json::from_str(text).ok());
    Patch {
        name: Name {
            namespace: request.namespace,
            resource: request.resource,
            name: request.name,
        },
        at: request.at,
        record: record.unwrap_or_default(),
        attempts: attempts.unwrap_or_default(),
        pins: pins.unwrap_or_default(),
        restarted_at: annotation("restartedAt").and_then(|text| text.parse().ok()),
    }
}

/// The runs of containers, from the nodes' records.
fn runs(journal: Vec<Ran>) -> Vec<Run> {
    let mut runs = Vec::new();
    let mut open: HashMap<String, BTreeMap<String, Run>> = HashMap::new();
    let mut since: HashMap<String, Timestamp> = HashMap::new();
    for Ran {
        at,
        uid,
        containers,
    } in journal
    {
        let pod_since = *since.entry(uid.clone()).or_insert(at);
        let running = open.entry(uid).or_default();
        let mut before = std::mem::take(running);
        for container in containers {
            let config = container.config_digest.to_string();
            let same = match before.remove(&container.container) {
                Some(run) if run.config == config && run.ready == container.ready => Some(run),
                Some(other) => {
                    runs.push(ended(other, at));
                    None
                }
                None => None,
            };
            let run = same.unwrap_or_else(|| Run {
                workload: workloads::workload_of(&container.pod).to_owned(),
                namespace: container.namespace,
                container: container.container.clone(),
                image: container.image,
                pin: container.pin,
                config,
                ready: container.ready,
                pod_since,
                from: at,
                to: None,
            });
            running.insert(container.container, run);
        }
        runs.extend(before.into_values().map(|run| ended(run, at)));
    }
    runs.extend(open.into_values().flat_map(BTreeMap::into_values));
    runs
}

fn ended(run: Run, at: Timestamp) -> Run {
    Run {
        to: Some(at),
        ..run
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{image::Image, node::RunningContainer};

    #[test]
    fn a_patch_without_a_response_is_found_in_the_log() {
        let log = "2026-11-30T20:39:51.206777Z  WARN ApiServer: the response to the patch was lost: ServiceError: workload=none of it \
                   workload=Deployment chaos-3-3/d81\n\
                   2026-11-30T20:39:52.206777Z  INFO rolled out: container app workload=Deployment chaos-3-3/d82";
        let found: Vec<_> = unanswered(log).collect();
        let expected = Unanswered {
            workload: "chaos-3-3/d81".to_owned(),
            at: "2026-11-30T20:39:51.206777Z".parse().expect("an instant"),
        };
        assert_eq!(found, [expected]);
    }

    #[test]
    fn a_run_lasts_until_its_container_runs_another_image_or_nothing_or_is_not_ready() {
        let second = |second| Timestamp::UNIX_EPOCH + SignedDuration::from_secs(second);
        let container = |name: &str, image: &str| RunningContainer {
            namespace: "one".to_owned(),
            pod: "d1-5f-x".to_owned(),
            container: name.to_owned(),
            node: "node-1".to_owned(),
            image: image.to_owned(),
            pin: None,
            marker: image.to_owned(),
            config_digest: Image::new(image).config_digest(),
            pulled_digest: None,
            image_id: String::new(),
            ready: true,
        };
        let unready = RunningContainer {
            ready: false,
            ..container("app", "b")
        };
        let ran = |at, containers: &[RunningContainer]| Ran {
            at: second(at),
            uid: "uid".to_owned(),
            containers: containers.to_vec(),
        };
        let mut runs = runs(vec![
            ran(1, &[container("app", "a")]),
            ran(2, &[container("app", "a"), container("side", "s")]),
            ran(3, &[container("app", "b"), container("side", "s")]),
            ran(4, &[container("app", "b")]),
            ran(5, &[unready]),
        ]);
        runs.sort_by_key(|run| (run.from, run.to));
        let seen: Vec<_> = runs
            .iter()
            .map(|run| (run.container.as_str(), run.from, run.to))
            .collect();
        let expected = [
            ("app", second(1), Some(second(3))),
            ("side", second(2), Some(second(4))),
            ("app", second(3), Some(second(5))),
            ("app", second(5), None),
        ];
        assert_eq!(seen, expected);
        assert!(runs.iter().all(|run| run.workload == "d1"));
        assert!(runs.iter().all(|run| run.pod_since == second(1)));
        let ready: Vec<_> = runs.iter().map(|run| run.ready).collect();
        assert_eq!(ready, [true, true, true, false]);
    }
}
