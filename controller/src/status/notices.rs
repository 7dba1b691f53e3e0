//! Turns reports into notices for the notification sinks.

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
    image_change::ImageChange,
    warnings::{Topic, Warning},
};
use crate::{
    observe::observation::Observation,
    rollout::tracker::Transition,
    workload::{Template, identity::Identity},
};

/// The notices of a workload so far.
#[derive(Debug, Default)]
pub(super) struct NoticeState {
    /// The time of the patch of a rollout whose start is not reported yet.
    pub(super) started: Option<Timestamp>,
    /// Whether a failed rollout, or one that does not converge, was reported, and its recovery not yet.
    pub(super) is_failed: bool,
}

/// A workload with the decision about it.
pub(super) struct DecidedWorkload<'a> {
    pub(super) identity: &'a Identity,
    pub(super) decision: &'a Decision,
    pub(super) observation: &'a Observation,
    /// The changes of our rollout in flight.
    pub(super) changes: &'a [ImageChange],
    pub(super) now: Timestamp,
}

impl NoticeState {
    /// The notices of a decision: about our rollout, its delay, and the warnings that were reported.
    pub(super) fn notices(
        &mut self,
        decided: &DecidedWorkload<'_>,
        transition: Option<Transition>,
        is_newly_delayed: bool,
        warnings: &[&Warning],
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
        if decided.decision.state == State::UpToDate && complete && self.is_failed {
            self.is_failed = false;
            notices.push(decided.notice(Event::Recovered));
        }
        // Other delays end soon and by themselves.
        let may_last = decided.decision.state == State::Held
            || decided.decision.reason == Some(Reason::MinInterval);
        if is_newly_delayed && may_last {
            notices.push(decided.notice(Event::HeldBack));
        }
        let warnings = warnings.iter();
        notices.extend(warnings.filter_map(|warning| self.warning(decided, warning)));
        notices
    }

    /// The notice of a warning, if there is one.
    fn warning(&mut self, decided: &DecidedWorkload<'_>, warning: &Warning) -> Option<Notice> {
        let notice = match &warning.topic {
            Topic::NotConverging(stuck) => {
                self.is_failed = true;
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

    /// The notice that the API server refused the patch of a rollout of these containers, with this record.
    pub(super) fn refused(
        &mut self,
        identity: &Identity,
        containers: Vec<Container>,
        record: &Record,
        note: &str,
        now: Timestamp,
    ) -> Notice {
        self.is_failed = true;
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

impl DecidedWorkload<'_> {
    fn notice(&self, event: Event) -> Notice {
        let has_reason = matches!(
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
            reason: has_reason.then_some(reason),
            detail: None,
            refused: None,
        }
    }

    /// The containers of our rollout; without one, the container that determined the state, or all that were ever rolled out.
    fn containers(&self) -> Vec<Container> {
        let observed = &self.observation.observed;
        if !self.changes.is_empty() {
            let changes = self.changes.iter();
            return changes
                .map(|change| self.container(&change.container, Some(change)))
                .collect();
        }
        if let Some(name) = &self.decision.container {
            return vec![self.container(name, None)];
        }
        let names = observed.containers.iter().map(|container| &container.name);
        let rolled_out = names.filter(|name| observed.record.digest(name).is_some());
        rolled_out.map(|name| self.container(name, None)).collect()
    }

    fn container(&self, name: &str, change: Option<&ImageChange>) -> Container {
        let observed = self.observed(name);
        let target = observed.and_then(|container| container.tag.as_ref().ok());
        let to = target
            .or_else(|| change.map(|change| &change.to.digest))
            .or_else(|| self.observation.observed.record.digest(name));
        let running = observed.filter(|_| change.is_none());
        let running =
            running.and_then(|container| container.pods.iter().find_map(|pod| pod.digest.as_ref()));
        let from = change.and_then(|change| change.from.clone());
        let from = from.or_else(|| running.filter(|runs| Some(*runs) != to).map(unlabelled));
        Container {
            name: name.to_owned(),
            image: self.image(name).to_owned(),
            from,
            to: to.map(|to| {
                let version = change.map(|change| &change.to);
                let version = version.filter(|version| version.digest == *to);
                version.cloned().unwrap_or_else(|| unlabelled(to))
            }),
        }
    }

    /// The image reference of the newest pod, without its pin, or else of the template; empty if neither is known.
    fn image(&self, container: &str) -> &str {
        let pods = self.observation.pods.current.iter();
        let mut specs = pods
            .flat_map(|pod| &pod.containers)
            .map(|container| &container.spec);
        let spec = specs.find(|spec| *spec.name == *container);
        let template = self.observed(container);
        let template = template.map(|container| container.image.as_str());
        spec.map(|spec| spec.followed())
            .or(template)
            .unwrap_or_default()
    }

    /// The digests that all containers should run. They identify the event, also across restarts.
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

    fn observed(&self, name: &str) -> Option<&decide::Container> {
        let mut containers = self.observation.observed.containers.iter();
        containers.find(|container| container.name == name)
    }
}

/// The containers of a rollout, with the images of the template if the workload still exists.
pub(super) fn containers(changes: &[ImageChange], template: Option<&Template>) -> Vec<Container> {
    let image = |name: &str| template.and_then(|template| template.image(name));
    let containers = changes.iter().map(|change| Container {
        name: change.container.clone(),
        image: image(&change.container).unwrap_or_default().to_owned(),
        from: change.from.clone(),
        to: Some(change.to.clone()),
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

/// A version whose labels are unknown.
fn unlabelled(digest: &Digest) -> Version {
    Version {
        digest: digest.clone(),
        labels: None,
    }
}

#[cfg(test)]
mod tests;
