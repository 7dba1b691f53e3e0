//! The history of workloads: the objects that store their current and past templates.

use jiff::{SignedDuration, Timestamp};
use kube_autorollout_core::Digest;
use serde::Deserialize;

use super::{
    Workload,
    template::{TemplateAnnotations, TemplateMetadata},
};

/// The kinds of objects that store the templates of a workload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum History {
    /// Of Deployments.
    ReplicaSets,
    /// Of StatefulSets and DaemonSets.
    ControllerRevisions,
}

impl History {
    /// The kind's plural, as in API paths and RBAC rules.
    pub(crate) fn plural(self) -> &'static str {
        match self {
            Self::ReplicaSets => "replicasets",
            Self::ControllerRevisions => "controllerrevisions",
        }
    }
}

/// A ReplicaSet or ControllerRevision: an object that stores the current template, or a past one.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(from = "RawRevision")]
pub(crate) struct Revision {
    pub(super) uid: Box<str>,
    /// The UID of its workload, if it has one.
    pub(crate) owner: Option<Box<str>>,
    /// Of a ReplicaSet: its annotation [`REVISION`](crate::constants::REVISION).
    pub(super) rollout_number: Option<Box<str>>,
    /// Of a ControllerRevision: the current one has the highest.
    pub(super) number: i64,
    /// Of a ControllerRevision: the label of its pods.
    pub(super) hash: Option<Box<str>>,
    /// When it was created, which is when its template first became the current one.
    created: Option<Timestamp>,
    /// Those of the template, where they were listed and are needed.
    annotations: Option<Box<TemplateAnnotations>>,
}

/// How far the clock of the API server may be off from ours.
const CLOCK_SKEW: SignedDuration = SignedDuration::from_mins(1);

/// A rollout that was rolled back (`kubectl rollout undo`): a container, and the digest that it was rolled out to.
pub(crate) type RolledBackRollout = (Box<str>, Digest);

impl Revision {
    /// Drops the template, as far as it was read.
    pub(crate) fn drop_template(&mut self) {
        self.annotations = None;
    }
}

impl Workload {
    /// Whether a rollout of ours that is later than that of the template may have been rolled back, by a history without
    /// templates: each rollout creates an object.
    pub(crate) fn may_be_rolled_back(&self, history: &[Revision], restarted_at: &str) -> bool {
        let Some(current) = self.last_rollout(restarted_at) else {
            return false;
        };
        let Some(latest) = self.kind.latest(self, history) else {
            return true;
        };
        let since = current.checked_sub(CLOCK_SKEW).unwrap_or(current);
        let mut others = history.iter().filter(|revision| revision.uid != latest.uid);
        others.any(|other| other.created >= latest.created.min(Some(since)))
    }

    /// The rolled-back rollouts: those of ours in the history that are later than the template, which is one of ours, too.
    pub(crate) fn rolled_back(
        &self,
        history: &[Revision],
        restarted_at: &str,
    ) -> Vec<RolledBackRollout> {
        let Some(current) = self.last_rollout(restarted_at) else {
            return Vec::new();
        };
        let templates = history
            .iter()
            .filter_map(|revision| revision.annotations.as_ref());
        let later = templates.filter(|template| {
            let at = template.last_rollout(restarted_at);
            at.is_some_and(|at| at > current)
        });
        let records = later.filter_map(|template| template.record());
        let mut rolled_back: Vec<RolledBackRollout> = Vec::new();
        for (container, digest) in records.flatten() {
            let rollout = (container.into(), digest);
            if !rolled_back.contains(&rollout) {
                rolled_back.push(rollout);
            }
        }
        rolled_back
    }
}

/// The object as the API server sends it.
#[derive(Deserialize)]
struct RawRevision {
    metadata: Metadata,
    #[serde(default)]
    revision: i64,
    /// Of a ReplicaSet, unless only its metadata was listed.
    #[serde(default)]
    spec: Templated,
    /// Of a ControllerRevision: the patch that restores its template.
    #[serde(default)]
    data: Data,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Data {
    spec: Templated,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Templated {
    template: PastTemplate,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct PastTemplate {
    metadata: TemplateMetadata,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    uid: Box<str>,
    creation_timestamp: Option<Timestamp>,
    #[serde(default)]
    labels: RevisionLabel,
    #[serde(default)]
    annotations: Annotations,
    #[serde(default)]
    owner_references: Vec<OwnerReference>,
}

/// The label that a ControllerRevision and its pods have in common.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct RevisionLabel {
    #[serde(rename = "controller-revision-hash")]
    pub(crate) hash: Option<Box<str>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Annotations {
    #[serde(rename = "deployment.kubernetes.io/revision")]
    revision: Option<Box<str>>,
}

impl From<RawRevision> for Revision {
    fn from(raw: RawRevision) -> Self {
        let RawRevision {
            metadata,
            revision,
            spec,
            data,
        } = raw;
        let [of_set, of_revision] =
            [spec, data.spec].map(|spec| spec.template.metadata.annotations);
        Self {
            created: metadata.creation_timestamp,
            annotations: of_set.or(of_revision),
            uid: metadata.uid,
            owner: controlled_by(&metadata.owner_references).map(Into::into),
            rollout_number: metadata.annotations.revision,
            number: revision,
            hash: metadata.labels.hash,
        }
    }
}

/// A reference to an owner.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct OwnerReference {
    uid: String,
    #[serde(default)]
    controller: bool,
}

/// The UID of the owner that controls an object: names can be used again.
pub(crate) fn controlled_by(owners: &[OwnerReference]) -> Option<&str> {
    let owner = owners.iter().find(|owner| owner.controller)?;
    Some(&owner.uid)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use kube_autorollout_core::annotations::{DIGESTS, KUBECTL_RESTARTED_AT, RESTARTED_AT};
    use serde_json::{Value, json};

    use super::*;
    use crate::workload::{Kind, Object};

    fn digest(letter: char) -> Digest {
        let digest = format!("sha256:{}", letter.to_string().repeat(64));
        digest.parse().expect("a digest")
    }

    /// A template with a rollout to the digest of this letter in this minute.
    fn template(letter: char, minute: u32) -> Value {
        template_by(RESTARTED_AT, letter, minute)
    }

    fn template_by(key: &str, letter: char, minute: u32) -> Value {
        let record = json!({ "app": digest(letter) }).to_string();
        let at = format!("2026-01-01T00:{minute:02}:00Z");
        json!({ "metadata": { "annotations": { DIGESTS: record, key: at }, "labels": { "a": "b" } } })
    }

    fn bare() -> Value {
        json!({ "metadata": { "labels": { "a": "b" } } })
    }

    fn workload(kind: Kind, template: &Value) -> Workload {
        let object = json!({
            "metadata": { "name": "web", "annotations": { "deployment.kubernetes.io/revision": "3" } },
            "spec": { "selector": {}, "template": template },
        });
        let object: Object = serde_json::from_value(object).expect("a workload");
        Workload::new(kind, Arc::new(object)).expect("a workload")
    }

    /// A revision with this number that was created in this minute.
    fn past(kind: Kind, number: u32, minute: u32, template: &Value) -> Revision {
        let metadata = json!({
            "uid": minute.to_string(),
            "creationTimestamp": format!("2026-01-01T00:{minute:02}:00Z"),
            "annotations": { "deployment.kubernetes.io/revision": number.to_string() },
        });
        let object = match kind.history() {
            History::ReplicaSets => {
                json!({ "metadata": metadata, "spec": { "template": template } })
            }
            History::ControllerRevisions => json!({
                "metadata": metadata,
                "revision": number,
                "data": { "spec": { "template": template } },
            }),
        };
        serde_json::from_value(object).expect("a past template")
    }

    fn rolled_back(workload: &Workload, history: &[Revision]) -> Vec<RolledBackRollout> {
        workload.rolled_back(history, RESTARTED_AT)
    }

    #[test]
    fn a_rolled_back_rollout_is_later_in_the_history_for_every_kind() {
        for kind in Kind::ALL {
            let gone_back = workload(kind, &template('a', 1));
            let history = [
                past(kind, 0, 0, &bare()),
                past(kind, 3, 1, &template('a', 1)),
                past(kind, 2, 2, &template('b', 2)),
            ];
            let expected = [("app".into(), digest('b'))];
            assert_eq!(rolled_back(&gone_back, &history), expected, "{kind:?}");
            assert!(gone_back.may_be_rolled_back(&history, RESTARTED_AT));
            // A tag that moves back and forth: the last rollout is always the latest.
            let rolled_out = workload(kind, &template('a', 9));
            let history = [
                past(kind, 1, 1, &template('a', 1)),
                past(kind, 2, 2, &template('b', 2)),
                past(kind, 3, 9, &template('a', 9)),
            ];
            assert_eq!(rolled_back(&rolled_out, &history), []);
            assert!(!rolled_out.may_be_rolled_back(&history, RESTARTED_AT));
            // A template that is changed after the undo has a new object.
            let restarted = [
                past(kind, 1, 1, &template('a', 1)),
                past(kind, 2, 2, &template('b', 2)),
                past(kind, 3, 9, &template('a', 1)),
            ];
            assert_eq!(rolled_back(&gone_back, &restarted), expected, "{kind:?}");
            assert!(gone_back.may_be_rolled_back(&restarted, RESTARTED_AT));
        }
    }

    #[test]
    fn only_a_template_of_ours_shows_a_rolled_back_rollout() {
        for kind in Kind::ALL {
            let history = [
                past(kind, 3, 1, &bare()),
                past(kind, 2, 2, &template('b', 2)),
            ];
            let stripped = workload(kind, &bare());
            assert_eq!(rolled_back(&stripped, &history), []);
            assert!(!stripped.may_be_rolled_back(&history, RESTARTED_AT));
        }
    }

    #[test]
    fn without_a_history_rolled_back_rollouts_are_unknown_until_templates_are_read() {
        let [deployment, stateful_set, _] = Kind::ALL;
        let set = workload(stateful_set, &template('a', 1));
        assert!(set.may_be_rolled_back(&[], RESTARTED_AT));
        assert_eq!(rolled_back(&set, &[]), []);
        let mut other = past(deployment, 2, 2, &template('b', 2));
        other.drop_template();
        let gone_back = workload(deployment, &template('a', 1));
        assert_eq!(rolled_back(&gone_back, &[other]), []);
    }

    #[test]
    fn a_manual_restart_counts_only_if_rollouts_set_the_same_annotation() {
        let [deployment, ..] = Kind::ALL;
        let mut restarted = template('a', 1);
        restarted["metadata"]["annotations"][KUBECTL_RESTARTED_AT] = json!("2026-01-01T00:05:00Z");
        let restarted = workload(deployment, &restarted);
        let history = [past(deployment, 2, 2, &template('b', 2))];
        assert_eq!(rolled_back(&restarted, &history).len(), 1);
        assert_eq!(restarted.rolled_back(&history, KUBECTL_RESTARTED_AT), []);
        let marked = [past(
            deployment,
            2,
            2,
            &template_by(KUBECTL_RESTARTED_AT, 'b', 2),
        )];
        let before = workload(deployment, &template_by(KUBECTL_RESTARTED_AT, 'a', 1));
        assert_eq!(before.rolled_back(&marked, KUBECTL_RESTARTED_AT).len(), 1);
    }

    #[test]
    fn a_list_of_metadata_alone_has_no_templates() {
        let object = json!({ "metadata": { "uid": "1", "annotations": {}, "labels": {} } });
        let past: Revision = serde_json::from_value(object).expect("a ReplicaSet");
        assert!(past.annotations.is_none());
        let odd = json!({ "metadata": { "uid": "1" }, "data": {} });
        serde_json::from_value::<Revision>(odd).expect("a ControllerRevision");
    }
}
