//! DaemonSets.

use super::{Content, CurrentPods, History, Progress, Revision, Rules, Workload};

pub(super) struct DaemonSet;

impl Rules for DaemonSet {
    fn name(&self) -> &'static str {
        "DaemonSet"
    }

    fn plural(&self) -> &'static str {
        "daemonsets"
    }

    fn history(&self) -> History {
        History::ControllerRevisions
    }

    fn finds_pods_by_history(&self) -> bool {
        true
    }

    /// Complete by the rule of `kubectl rollout status`
    /// (<https://github.com/kubernetes/kubectl/blob/master/pkg/polymorphichelpers/rollout_status.go>), which has none for
    /// `OnDelete`: nothing is in flight there, even if pods wait to be deleted by a person.
    fn progress(&self, content: &Content) -> Progress {
        let status = &content.status;
        let desired = status.desired_number_scheduled;
        let complete =
            status.updated_number_scheduled >= desired && status.number_available >= desired;
        Progress {
            paused: false,
            generation_observed: content.generation_observed(),
            wants_pods: desired > 0,
            replacing: status.updated_number_scheduled < desired && !content.is_on_delete(),
            complete: complete || content.is_on_delete(),
            deadline_exceeded: None,
            on_delete: content.is_on_delete(),
        }
    }

    /// Its own pods with the label of its latest ControllerRevision, which has its template once the generation has been
    /// observed.
    fn current(&self, workload: &Workload, history: &[Revision]) -> Option<CurrentPods> {
        let latest = self.latest(workload, history)?;
        let revision = latest.hash.as_deref()?;
        Some(CurrentPods {
            owner: workload.uid().into(),
            revision: Some(revision.into()),
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

    fn daemon_set(strategy: &str, status: &Value) -> Workload {
        let object = json!({
            "metadata": { "name": "agent", "uid": "of-agent", "generation": 2 },
            "spec": {
                "selector": {},
                "template": { "spec": { "containers": [{ "name": "app", "image": "a" }] } },
                "updateStrategy": { "type": strategy },
            },
            "status": status,
        });
        let object: Object = serde_json::from_value(object).expect("a DaemonSet");
        Workload::new(Kind::new(&DaemonSet), Arc::new(object)).expect("a DaemonSet")
    }

    fn status(observed: i64, desired: i32, updated: i32, available: i32) -> Value {
        json!({
            "observedGeneration": observed,
            "desiredNumberScheduled": desired,
            "updatedNumberScheduled": updated,
            "numberAvailable": available,
        })
    }

    #[test]
    fn a_rollout_is_complete_by_the_rule_of_kubectl() {
        let cases = [
            (status(2, 3, 3, 3), true, true),
            (status(1, 3, 3, 3), false, true),
            (status(2, 3, 2, 3), true, false),
            (status(2, 3, 3, 2), true, false),
        ];
        for (status, observed, complete) in cases {
            let progress = daemon_set("RollingUpdate", &status).progress();
            assert_eq!(
                (progress.generation_observed, progress.complete),
                (observed, complete),
                "{status}"
            );
            assert!(progress.wants_pods && !progress.on_delete);
            assert_eq!(progress.deadline_exceeded, None);
        }
        let replacing = |status| daemon_set("RollingUpdate", &status).progress().replacing;
        assert!(replacing(status(2, 3, 2, 3)));
        assert!(!replacing(status(2, 3, 3, 2)), "a node is away");
        let nowhere = daemon_set("RollingUpdate", &status(2, 0, 0, 0)).progress();
        assert!(!nowhere.wants_pods, "no node fits");
    }

    #[test]
    fn nothing_is_in_flight_with_on_delete() {
        let progress = daemon_set("OnDelete", &status(2, 3, 1, 3)).progress();
        assert!(progress.on_delete && progress.complete && !progress.replacing);
    }

    #[test]
    fn the_current_pods_are_those_of_the_latest_revision() {
        let past = |revision: i64, hash: &str| -> Revision {
            let labels = json!({ "controller-revision-hash": hash });
            let object =
                json!({ "metadata": { "uid": hash, "labels": labels }, "revision": revision });
            serde_json::from_value(object).expect("a ControllerRevision")
        };
        let agent = daemon_set("RollingUpdate", &json!({}));
        let current = agent.current(&[past(9, "a"), past(10, "b"), past(2, "c")]);
        let current = current.expect("a revision");
        assert_eq!(&*current.owner, "of-agent");
        assert!(current.contains("agent-x7k2p", Some("b")));
        assert!(!current.contains("agent-x7k2p", Some("a")), "an old one");
        assert_eq!(agent.current(&[]), None, "the history is empty yet");
    }
}
