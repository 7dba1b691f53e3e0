//! In-memory record of recent rollouts, for workloads whose annotations are removed by other tools.

use ahash::HashMap;
use jiff::{SignedDuration, Timestamp};
use kube_autorollout_core::decide::{RecentRollout, Rollout};
use parking_lot::Mutex;

/// Older rollouts have no effect: `decide` permits another rollout of the same digest after an hour.
const TTL: SignedDuration = SignedDuration::from_hours(1);

/// Bound on the number of workloads, far above an hour's rollouts.
const CAPACITY: usize = 100_000;

/// The last rollout of each container.
#[derive(Debug, Default)]
pub(crate) struct RecentRollouts {
    rollouts: Mutex<Rollouts>,
}

/// By workload UID; each container by name.
type Rollouts = HashMap<Box<str>, Vec<(Box<str>, RecentRollout)>>;

impl RecentRollouts {
    /// The last rollout of the container by this process, however long ago.
    pub(crate) fn remembered(&self, uid: &str, container: &str) -> Option<RecentRollout> {
        let rollouts = self.rollouts.lock();
        let mut containers = rollouts.get(uid)?.iter();
        let (_, remembered) = containers.find(|(name, _)| **name == *container)?;
        Some(remembered.clone())
    }

    /// Evicts expired rollouts of workloads that are no longer selected.
    pub(crate) fn tidy(&self, now: Timestamp, is_selected: impl Fn(&str) -> bool) {
        let mut rollouts = self.rollouts.lock();
        rollouts.retain(|uid, containers| !is_expired(containers, now) || is_selected(uid));
    }

    /// Records a rollout. It replaces earlier ones of the same containers.
    pub(crate) fn remember(&self, uid: &str, rollout: &Rollout, now: Timestamp) {
        let mut rollouts = self.rollouts.lock();
        if rollouts.len() >= CAPACITY {
            rollouts.retain(|_, containers| !is_expired(containers, now));
        }
        let containers = rollouts.entry(uid.into()).or_default();
        for change in &rollout.changes {
            let remembered = RecentRollout {
                digest: change.to.clone(),
                at: now,
            };
            containers.retain(|(name, _)| **name != *change.container);
            containers.push((change.container.as_str().into(), remembered));
        }
    }
}

fn is_expired(containers: &[(Box<str>, RecentRollout)], now: Timestamp) -> bool {
    let mut containers = containers.iter();
    containers.all(|(_, remembered)| now.duration_since(remembered.at).abs() >= TTL)
}

#[cfg(test)]
mod tests {
    use std::str::FromStr as _;

    use kube_autorollout_core::{
        Digest,
        annotations::{ContainerKind, Settings, TemplateContainer},
        compare::Verdict,
        decide::{Container, Observed, Policy, Running, decide},
        pins::Pins,
        record::{Attempts, Change, Record},
    };

    use super::*;

    /// Ready pods that run another image, and a template whose record was removed.
    fn reset(remembered: Option<RecentRollout>) -> Observed {
        let digest = Digest::from_str(&format!("sha256:{}", "a".repeat(64)));
        let pod = Running {
            verdict: Verdict::Stale,
            digest: None,
            names_tag: true,
            ready: true,
            pulls_always: true,
            waiting: None,
        };
        Observed::complete(vec![Container {
            remembered,
            pods: vec![pod],
            ..Container::new("app", "app:main", Ok(digest.expect("a digest")))
        }])
    }

    #[test]
    fn a_template_that_is_reset_repeatedly_is_rolled_out_once_an_hour() {
        let container = TemplateContainer {
            name: "app",
            kind: ContainerKind::Regular,
        };
        let none = std::collections::BTreeMap::new();
        let settings = Settings::parse(&none, &[container], &jiff::tz::TimeZone::UTC);
        let settings = settings.expect("no annotations");
        let recent = RecentRollouts::default();
        let mut rollouts = Vec::new();
        for second in (0..3 * 3600).step_by(5) {
            let now = Timestamp::UNIX_EPOCH + SignedDuration::from_secs(second);
            let observed = reset(recent.remembered("uid", "app"));
            let decision = decide(&observed, &settings, &Policy::default(), now);
            if let Some(rollout) = decision.rollout {
                recent.remember("uid", &rollout, now);
                rollouts.push(second);
            }
        }
        assert_eq!(rollouts, [0, 3600, 7200]);
    }

    #[test]
    fn expired_rollouts_of_workloads_that_are_not_selected_are_evicted() {
        let recent = RecentRollouts::default();
        let rollout = Rollout {
            changes: vec![Change {
                container: "app".to_owned(),
                from: None,
                to: Digest::from_str(&format!("sha256:{}", "a".repeat(64))).expect("a digest"),
            }],
            record: Record::default(),
            attempts: Attempts::default(),
            pins: Pins::default(),
        };
        let begun = Timestamp::UNIX_EPOCH;
        for uid in ["here", "gone"] {
            recent.remember(uid, &rollout, begun);
        }
        let known = |minute: i64| {
            let now = begun + SignedDuration::from_mins(minute);
            recent.tidy(now, |uid| uid == "here");
            ["here", "gone"].map(|uid| recent.remembered(uid, "app").is_some())
        };
        assert_eq!(known(59), [true, true], "its label may be added again");
        assert_eq!(known(60), [true, false]);
        assert_eq!(known(10_000), [true, false]);
    }
}
