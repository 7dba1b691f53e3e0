//! StatefulSets.

use super::{Content, CurrentPods, History, Progress, Revision, Rules, Workload};

pub(super) struct StatefulSet;

impl Rules for StatefulSet {
    fn name(&self) -> &'static str {
        "StatefulSet"
    }

    fn plural(&self) -> &'static str {
        "statefulsets"
    }

    fn history(&self) -> History {
        History::ControllerRevisions
    }

    fn finds_pods_by_history(&self) -> bool {
        false
    }

    /// Pods below the partition keep their template. Complete by the rule of `kubectl rollout status`
    /// (<https://github.com/kubernetes/kubectl/blob/master/pkg/polymorphichelpers/rollout_status.go>), which has none for
    /// `OnDelete`: nothing is in flight there, even if pods wait to be deleted by a person.
    fn progress(&self, content: &Content) -> Progress {
        let desired = content.replicas();
        let status = &content.status;
        let to_update = desired.saturating_sub(content.partition());
        let existing = status.replicas.min(desired);
        let replacing = status.updated_replicas < existing.saturating_sub(content.partition());
        let complete = status.ready_replicas >= desired && status.updated_replicas >= to_update;
        Progress {
            paused: false,
            generation_observed: content.generation_observed(),
            wants_pods: desired > 0,
            replacing: replacing && !content.is_on_delete(),
            complete: complete || content.is_on_delete(),
            deadline_exceeded: None,
            on_delete: content.is_on_delete(),
        }
    }

    /// Its own pods of the update revision in its status, from the partition on: those below keep an old template, so what
    /// they run says nothing about a rollout.
    fn current(&self, workload: &Workload, _: &[Revision]) -> Option<CurrentPods> {
        let revision = workload.content.update_revision()?;
        Some(CurrentPods {
            owner: workload.uid().into(),
            revision: Some(revision.into()),
            from_ordinal: Some(workload.content.first_ordinal()),
            in_order: workload.content.is_in_order(),
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use std::sync::Arc;

    use crate::workload::{Kind, Object};

    fn stateful_set(status: &Value, change: impl FnOnce(&mut Value)) -> Workload {
        let mut object = json!({
            "metadata": { "name": "db", "uid": "of-db", "generation": 2 },
            "spec": {
                "replicas": 3,
                "selector": {},
                "template": { "spec": { "containers": [{ "name": "app", "image": "a" }] } },
                "updateStrategy": { "type": "RollingUpdate", "rollingUpdate": { "partition": 0 } },
            },
            "status": status,
        });
        change(&mut object);
        let object: Object = serde_json::from_value(object).expect("a StatefulSet");
        Workload::new(Kind::new(&StatefulSet), Arc::new(object)).expect("a StatefulSet")
    }

    fn status(observed: i64, ready: i32, updated: i32) -> Value {
        json!({ "observedGeneration": observed, "readyReplicas": ready, "updatedReplicas": updated, "updateRevision": "db-2" })
    }

    #[test]
    fn a_rollout_is_complete_by_the_rule_of_kubectl() {
        let cases = [
            (status(2, 3, 3), 0, true, true),
            (status(1, 3, 3), 0, false, true),
            (status(2, 3, 2), 0, true, false),
            (status(2, 2, 3), 0, true, false),
            (status(2, 3, 1), 2, true, true),
            (status(2, 3, 0), 2, true, false),
            (status(2, 3, 0), 5, true, true),
            (json!({}), 0, false, false),
        ];
        for (status, partition, observed, complete) in cases {
            let set = stateful_set(&status, |object| {
                object["spec"]["updateStrategy"]["rollingUpdate"]["partition"] = json!(partition);
            });
            let progress = set.progress();
            assert_eq!(
                (progress.generation_observed, progress.complete),
                (observed, complete),
                "{status} with the partition {partition}"
            );
        }
    }

    #[test]
    fn pods_are_being_replaced_while_older_ones_exist() {
        let cases = [
            ("not all are updated", 3, 2, 0, true),
            ("one is yet to be created", 2, 2, 0, false),
            ("those below the partition stay", 3, 1, 2, false),
            ("one above the partition is old", 3, 0, 2, true),
        ];
        for (case, replicas, updated, partition, replacing) in cases {
            let mut status = status(2, 1, updated);
            status["replicas"] = json!(replicas);
            let set = stateful_set(&status, |object| {
                object["spec"]["updateStrategy"]["rollingUpdate"]["partition"] = json!(partition);
            });
            let progress = set.progress();
            assert_eq!(progress.replacing, replacing, "{case}");
            assert!(!progress.complete, "one is not ready");
            assert_eq!(progress.deadline_exceeded, None);
        }
    }

    #[test]
    fn nothing_is_in_flight_with_on_delete() {
        let set = stateful_set(&status(2, 3, 1), |object| {
            object["spec"]["updateStrategy"] = json!({ "type": "OnDelete" });
        });
        let progress = set.progress();
        assert!(progress.on_delete && progress.complete && !progress.replacing);
    }

    #[test]
    fn the_current_pods_are_those_of_the_update_revision_from_the_partition_on() {
        let current = |change: fn(&mut Value)| stateful_set(&status(2, 3, 3), change).current(&[]);
        let all = current(|_| {}).expect("a revision");
        assert_eq!(&*all.owner, "of-db");
        assert!(all.contains("db-0", Some("db-2")));
        assert!(!all.contains("db-0", Some("db-1")), "an old one");
        assert!(!all.contains("db-0", None));

        let partition = current(|object| {
            object["spec"]["updateStrategy"]["rollingUpdate"]["partition"] = json!(1);
            object["spec"]["ordinals"] = json!({ "start": 9 });
        });
        let partition = partition.expect("a revision");
        assert!(!partition.contains("db-9", Some("db-2")), "below");
        assert!(partition.contains("db-10", Some("db-2")), "by number");

        assert!(partition.waits_for("db-10", Some("db-1")));
        assert!(!partition.waits_for("db-9", Some("db-1")), "it stays");
        assert!(!partition.waits_for("db-10", Some("db-2")), "it is current");
        let parallel = current(|object| object["spec"]["podManagementPolicy"] = json!("Parallel"));
        let parallel = parallel.expect("a revision");
        assert!(!parallel.waits_for("db-2", Some("db-1")), "it is replaced");

        let none = stateful_set(&json!({}), |_| {}).current(&[]);
        assert_eq!(none, None, "the status does not show it yet");
    }
}
