//! Deployments.

use super::{Content, CurrentPods, History, Progress, Revision, Rules, Workload};

pub(super) struct Deployment;

impl Rules for Deployment {
    fn name(&self) -> &'static str {
        "Deployment"
    }

    fn plural(&self) -> &'static str {
        "deployments"
    }

    fn history(&self) -> History {
        History::ReplicaSets
    }

    fn finds_pods_by_history(&self) -> bool {
        true
    }

    /// The one that has the Deployment's own revision.
    fn latest<'h>(&self, workload: &Workload, history: &'h [Revision]) -> Option<&'h Revision> {
        let revision = workload.object.metadata.revision.as_deref()?;
        let mut history = history.iter();
        history.find(|set| set.rollout_number.as_deref() == Some(revision))
    }

    /// Its status counts no pods that are being deleted. It is complete by the rule of `kubectl rollout
    /// status` (<https://github.com/kubernetes/kubectl/blob/master/pkg/polymorphichelpers/rollout_status.go>).
    fn progress(&self, content: &Content) -> Progress {
        let desired = content.replicas();
        let status = &content.status;
        Progress {
            paused: content.spec.paused,
            generation_observed: content.generation_observed(),
            wants_pods: desired > 0,
            replacing: status.replicas > status.updated_replicas,
            complete: status.updated_replicas >= desired
                && status.replicas <= status.updated_replicas
                && status.available_replicas >= status.updated_replicas,
            deadline_exceeded: (status.deadline_exceeded || content.has_deadline())
                .then_some(status.deadline_exceeded),
            on_delete: false,
        }
    }

    /// The pods of its latest ReplicaSet, whose template is the Deployment's once the generation has been observed.
    fn current(&self, workload: &Workload, history: &[Revision]) -> Option<CurrentPods> {
        let current = self.latest(workload, history)?;
        Some(CurrentPods {
            owner: current.uid.clone(),
            revision: None,
            from_ordinal: None,
            in_order: false,
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use std::sync::Arc;

    use crate::workload::{Kind, Object};

    fn deployment(status: &Value, change: impl FnOnce(&mut Value)) -> Workload {
        let mut object = json!({
            "metadata": { "name": "web", "generation": 2, "annotations": { "deployment.kubernetes.io/revision": "7" } },
            "spec": { "replicas": 3, "selector": {}, "template": { "spec": { "containers": [{ "name": "app", "image": "a" }] } } },
            "status": status,
        });
        change(&mut object);
        let object: Object = serde_json::from_value(object).expect("a Deployment");
        Workload::new(Kind::new(&Deployment), Arc::new(object)).expect("a Deployment")
    }

    #[test]
    fn a_rollout_is_complete_by_the_rule_of_kubectl() {
        let cases = [
            (
                json!({ "observedGeneration": 2, "replicas": 3, "updatedReplicas": 3, "availableReplicas": 3 }),
                true,
                true,
            ),
            (
                json!({ "observedGeneration": 1, "replicas": 3, "updatedReplicas": 3, "availableReplicas": 3 }),
                false,
                true,
            ),
            (
                json!({ "observedGeneration": 2, "replicas": 3, "updatedReplicas": 2, "availableReplicas": 3 }),
                true,
                false,
            ),
            (
                json!({ "observedGeneration": 2, "replicas": 4, "updatedReplicas": 3, "availableReplicas": 4 }),
                true,
                false,
            ),
            (
                json!({ "observedGeneration": 2, "replicas": 3, "updatedReplicas": 3, "availableReplicas": 2 }),
                true,
                false,
            ),
            (json!({}), false, false),
        ];
        for (status, observed, complete) in cases {
            let progress = deployment(&status, |_| {}).progress();
            assert_eq!(
                (progress.generation_observed, progress.complete),
                (observed, complete),
                "{status}"
            );
        }
    }

    #[test]
    fn pods_are_being_replaced_while_older_ones_exist() {
        let cases = [
            ("not all are updated", 4, 3, 4, true),
            ("all are old", 3, 0, 3, true),
            ("one is not ready", 3, 3, 2, false),
            (
                "some are yet to be created, for want of quota",
                2,
                2,
                2,
                false,
            ),
            ("none is there", 0, 0, 0, false),
        ];
        for (case, replicas, updated, available, replacing) in cases {
            let status = json!({
                "observedGeneration": 2, "replicas": replicas, "updatedReplicas": updated, "availableReplicas": available,
            });
            let progress = deployment(&status, |_| {}).progress();
            assert_eq!(progress.replacing, replacing, "{case}");
            assert_eq!(progress.is_in_flight(), replacing, "{case}");
        }
    }

    #[test]
    fn a_deployment_without_a_progress_deadline_reports_none() {
        let exceeded = |seconds: Value| {
            let web = deployment(&json!({}), |object| {
                object["spec"]["progressDeadlineSeconds"] = seconds;
            });
            web.progress().deadline_exceeded
        };
        assert_eq!(exceeded(json!(600)), Some(false));
        assert_eq!(exceeded(json!(i32::MAX)), None);
        assert_eq!(exceeded(json!(null)), None);
    }

    #[test]
    fn the_progress_of_a_deployment_is_read() {
        let progress = |change: fn(&mut Value)| deployment(&json!({}), change).progress();
        assert!(progress(|object| object["spec"]["paused"] = json!(true)).paused);
        assert!(!progress(|object| object["spec"]["replicas"] = json!(0)).wants_pods);
        assert!(
            progress(|object| object["spec"]["replicas"] = Value::Null).wants_pods,
            "one by default"
        );
        let conditions =
            |reason: &str| json!({ "conditions": [{ "type": "Progressing", "reason": reason }] });
        let exceeded = |reason| {
            let web = deployment(&conditions(reason), |_| {});
            web.progress().deadline_exceeded
        };
        assert_eq!(exceeded("ProgressDeadlineExceeded"), Some(true));
        assert_eq!(exceeded("NewReplicaSetAvailable"), None);
    }

    #[test]
    fn the_current_pods_are_those_of_the_replica_set_with_its_revision() {
        let past = |uid: &str, revision: &str| -> Revision {
            let annotations = json!({ "deployment.kubernetes.io/revision": revision });
            serde_json::from_value(
                json!({ "metadata": { "uid": uid, "annotations": annotations } }),
            )
            .expect("a ReplicaSet")
        };
        let web = deployment(&json!({}), |_| {});
        let current = |history: &[Revision]| web.current(history).map(|current| current.owner);
        assert_eq!(
            current(&[past("old", "6"), past("new", "7")]),
            Some("new".into())
        );
        assert_eq!(
            current(&[past("old", "6")]),
            None,
            "the history does not hold it yet"
        );
    }
}
