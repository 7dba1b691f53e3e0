//! What of the reports is news for the sinks of notifications, and how it is described to them.

use std::fmt::Write as _;

use jiff::Timestamp;
use kube_autorollout_core::{
    Digest,
    decide::{self, Decision},
    record::Record,
    state::{Reason, State},
};
use kube_autorollout_notifications::{Container, Event, Notice, Version, Workload};

use super::{
    build::{Build, Move},
    warnings::{Topic, Warning},
};
use crate::{
    observe::observation::Observation,
    rollout::tracker::Transition,
    workload::{Template, identity::Identity},
};

/// What was reported of a workload, as far as it concerns what is news.
#[derive(Debug, Default)]
pub(super) struct Course {
    /// When the patch of our rollout was sent, until it is reported.
    pub(super) started: Option<Timestamp>,
    /// It was reported that a rollout failed or does not converge, and not yet that the workload has recovered.
    pub(super) troubled: bool,
}

/// A workload as it was decided upon.
pub(super) struct Decided<'a> {
    pub(super) identity: &'a Identity,
    pub(super) decision: &'a Decision,
    pub(super) observation: &'a Observation,
    /// What our rollout in flight moves.
    pub(super) moves: &'a [Move],
    pub(super) now: Timestamp,
}

impl Course {
    /// What is news of a workload that was decided upon: how our rollout went on, that it `waits`, and what was `warned` of.
    pub(super) fn news(
        &mut self,
        decided: &Decided<'_>,
        transition: Option<Transition>,
        waits: bool,
        warned: &[&Warning],
    ) -> Vec<Notice> {
        let mut notices = Vec::new();
        if let Some(started) = self.started.take() {
            notices.push(Notice {
                rollout: Some(started),
                ..decided.notice(Event::Started)
            });
        }
        if let Some(Transition::Completed(took)) = transition {
            notices.push(Notice {
                took: Some(took),
                ..decided.notice(Event::RolledOut)
            });
        }
        let complete = decided.observation.observed.complete;
        if decided.decision.state == State::UpToDate && complete && self.troubled {
            self.troubled = false;
            notices.push(decided.notice(Event::Recovered));
        }
        notices.extend(waits.then(|| decided.held_back()).flatten());
        let warnings = warned.iter();
        notices.extend(warnings.filter_map(|warning| self.warned(decided, warning)));
        notices
    }

    /// What follows from a warning that is news.
    fn warned(&mut self, decided: &Decided<'_>, warning: &Warning) -> Option<Notice> {
        let notice = match &warning.topic {
            Topic::NotConverging(stuck) => {
                self.troubled = true;
                let event = match stuck.reason {
                    Reason::ProgressDeadlineExceeded => Event::Failed,
                    _ => Event::NotConverging,
                };
                decided.notice(event)
            }
            Topic::Registry(reason, container) => {
                let failures = decided.observation.failures.iter();
                let mut failures = failures
                    .filter(|(name, failure)| name == container && failure.reason == *reason);
                let refused = failures.find_map(|(_, failure)| failure.refused.clone())?;
                Notice {
                    containers: Vec::new(),
                    reason: Some(reason.as_str()),
                    refused: Some(refused),
                    ..decided.notice(Event::CredentialRefused)
                }
            }
            Topic::PinnedDigestGone(container, pinned) => Notice {
                containers: vec![decided.container(container, None)],
                digests: pinned.clone(),
                ..decided.notice(Event::PinnedDigestGone)
            },
            Topic::PullPolicy(_)
            | Topic::NotPinned(_)
            | Topic::Invalid(_)
            | Topic::ApiServer(_) => return None,
        };
        Some(Notice {
            detail: Some(warning.note.clone()),
            ..notice
        })
    }

    /// The API server refused the patch of a rollout of these containers, which was to write this record.
    pub(super) fn refused(
        &mut self,
        identity: &Identity,
        containers: Vec<Container>,
        record: &Record,
        note: &str,
        now: Timestamp,
    ) -> Notice {
        self.troubled = true;
        Notice {
            event: Event::Failed,
            at: now,
            workload: workload(identity),
            containers,
            digests: record.to_string(),
            rollout: None,
            took: None,
            reason: Some(Reason::ApiServer.as_str()),
            detail: Some(note.to_owned()),
            refused: None,
        }
    }
}

impl Decided<'_> {
    /// The workload is not rolled out for a reason that may last: other waits pass by themselves and soon.
    fn held_back(&self) -> Option<Notice> {
        let lasts =
            self.decision.state == State::Held || self.decision.reason == Some(Reason::MinInterval);
        lasts.then(|| self.notice(Event::HeldBack))
    }

    fn notice(&self, event: Event) -> Notice {
        let says_why = matches!(
            event,
            Event::NotConverging | Event::Failed | Event::HeldBack
        );
        let state = self.decision.state.as_str();
        let reason = self.decision.reason.map_or(state, Reason::as_str);
        Notice {
            event,
            at: self.now,
            workload: workload(self.identity),
            containers: self.containers(),
            digests: self.digests(),
            rollout: self.observation.observed.last_rollout,
            took: None,
            reason: says_why.then_some(reason),
            detail: None,
            refused: None,
        }
    }

    /// Those that our rollout moves; if there is none, the one that decided, or all that were ever rolled out.
    fn containers(&self) -> Vec<Container> {
        let observed = &self.observation.observed;
        if !self.moves.is_empty() {
            let moves = self.moves.iter();
            return moves
                .map(|moved| self.container(&moved.container, Some(moved)))
                .collect();
        }
        if let Some(name) = &self.decision.container {
            return vec![self.container(name, None)];
        }
        let names = observed.containers.iter().map(|container| &container.name);
        let rolled_out = names.filter(|name| observed.record.digest(name).is_some());
        rolled_out.map(|name| self.container(name, None)).collect()
    }

    fn container(&self, name: &str, moved: Option<&Move>) -> Container {
        let found = self.found(name);
        let target = found.and_then(|container| container.tag.as_ref().ok());
        let to = target
            .or_else(|| moved.map(|moved| &moved.to.digest))
            .or_else(|| self.observation.observed.record.digest(name));
        let runs = found.filter(|_| moved.is_none());
        let runs =
            runs.and_then(|container| container.pods.iter().find_map(|pod| pod.digest.as_ref()));
        let from = moved.and_then(|moved| moved.from.as_ref()).map(version);
        let from = from.or_else(|| runs.filter(|runs| Some(*runs) != to).map(unknown));
        Container {
            name: name.to_owned(),
            image: self.image(name).to_owned(),
            from,
            to: to.map(|to| {
                let known = moved.map(|moved| &moved.to);
                let known = known.filter(|build| build.digest == *to);
                known.map_or_else(|| unknown(to), version)
            }),
        }
    }

    /// The image as its newest pod names it, without its pin, or as the template does; empty where neither was read.
    fn image(&self, container: &str) -> &str {
        let pods = self.observation.pods.current.iter();
        let mut specs = pods
            .flat_map(|pod| &pod.containers)
            .map(|found| &found.spec);
        let spec = specs.find(|spec| *spec.name == *container);
        let template = self.found(container);
        let template = template.map(|container| container.image.as_str());
        spec.map(|spec| spec.followed())
            .or(template)
            .unwrap_or_default()
    }

    /// What all containers are to run: in this process and the next, the same for the same event.
    fn digests(&self) -> String {
        let observed = &self.observation.observed;
        if observed.containers.is_empty() {
            return observed.record.to_string();
        }
        let mut containers: Vec<_> = observed.containers.iter().collect();
        containers.sort_by_key(|container| &container.name);
        let mut digests = String::new();
        for container in containers {
            let tag = container.tag.as_ref().ok();
            if let Some(digest) = tag.or_else(|| observed.record.digest(&container.name)) {
                // Writing to a String cannot fail.
                let _ = write!(digests, "{}={digest} ", container.name);
            }
        }
        digests
    }

    fn found(&self, name: &str) -> Option<&decide::Container> {
        let mut containers = self.observation.observed.containers.iter();
        containers.find(|container| container.name == name)
    }
}

/// Containers that were to be moved, with their images as the template has them, if the workload is still there.
pub(super) fn containers(moves: &[Move], template: Option<&Template>) -> Vec<Container> {
    let image = |name: &str| template.and_then(|template| template.image(name));
    let containers = moves.iter().map(|moved| Container {
        name: moved.container.clone(),
        image: image(&moved.container).unwrap_or_default().to_owned(),
        from: moved.from.as_ref().map(version),
        to: Some(version(&moved.to)),
    });
    containers.collect()
}

fn workload(identity: &Identity) -> Workload {
    Workload {
        namespace: identity.namespace.to_string(),
        kind: identity.kind,
        name: identity.name.to_string(),
        uid: identity.uid.to_string(),
    }
}

fn version(build: &Build) -> Version {
    Version {
        digest: build.digest.clone(),
        labels: build.labels.clone(),
    }
}

/// An image of which nothing else is known.
fn unknown(digest: &Digest) -> Version {
    Version {
        digest: digest.clone(),
        labels: None,
    }
}

#[cfg(test)]
mod tests;
