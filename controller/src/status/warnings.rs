//! Warnings that are reported once, and again only when they change.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use kube_autorollout_core::state::Reason;

use super::recorder;
use crate::rollout::tracker::StuckRollout;

/// Minimum interval of Events about registry failures, per workload and reason.
const REGISTRY_INTERVAL: SignedDuration = SignedDuration::from_hours(1);

/// The subject of a warning.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Topic {
    /// The check of a container's registry failed.
    Registry(Reason, String),
    /// The pull policy of a container does not pull its image again.
    PullPolicy(String),
    /// A rollout does not converge.
    NotConverging(StuckRollout),
    /// Pods of a container are not pinned but should be.
    NotPinned(String),
    /// A registry no longer has the digest that the pods of a container are pinned to.
    PinnedDigestGone(String, String),
    /// An annotation is invalid.
    Invalid(String),
    /// A request to the API server failed.
    ApiServer(String),
}

/// The part of a workload that was observed: warnings about the rest stay open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Extent {
    /// Its annotations: the reconcile ended with an error.
    Annotations,
    /// Its object, but not its containers: it is paused, has no pods, or is between two polls of a rollout.
    Object,
    /// Its containers.
    Containers {
        /// A crashing container runs in between, so it is unknown whether some warnings ended.
        rolling_out: bool,
    },
}

impl Topic {
    /// Whether a warning that is not raised again has ended.
    const fn has_ended(&self, extent: Extent) -> bool {
        match self {
            Self::Invalid(_) => true,
            Self::ApiServer(_) => !matches!(extent, Extent::Object),
            Self::Registry(..) | Self::PullPolicy(_) => matches!(extent, Extent::Containers { .. }),
            Self::NotConverging(_) | Self::NotPinned(_) | Self::PinnedDigestGone(..) => {
                matches!(extent, Extent::Containers { rolling_out: false })
            }
        }
    }

    /// Whether a cloud issues no token, which concerns all workloads.
    pub(super) fn is_cloud_failure(&self) -> bool {
        matches!(self, Self::Registry(Reason::CloudIdentity, _))
    }
}

/// A warning about a workload.
pub(super) struct Warning {
    pub(super) topic: Topic,
    /// `None` if it is only logged.
    pub(super) event: Option<recorder::Reason>,
    pub(super) note: String,
}

/// The channels on which a warning is reported now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Channels {
    pub(super) log: bool,
    pub(super) event: bool,
}

/// The warnings about one workload.
#[derive(Debug, Default)]
pub(super) struct Warnings {
    raised: BTreeMap<Topic, RaisedWarning>,
}

#[derive(Debug)]
struct RaisedWarning {
    /// The time of the last Event.
    event: Option<Timestamp>,
    /// Whether it applied at the last check.
    is_open: bool,
}

impl Warnings {
    /// Replaces the open warnings about what was observed with those about the topics; returns how to report each.
    pub(super) fn update(
        &mut self,
        topics: &[Topic],
        extent: Extent,
        now: Timestamp,
    ) -> Vec<Channels> {
        self.raised.retain(|topic, raised| {
            let has_ended = topic.has_ended(extent) && !topics.contains(topic);
            raised.is_open = raised.is_open && !has_ended;
            raised.is_open || raised.has_recent_event(now)
        });
        topics.iter().map(|topic| self.raise(topic, now)).collect()
    }

    fn raise(&mut self, topic: &Topic, now: Timestamp) -> Channels {
        let before = self.raised.get(topic);
        let was_open = before.is_some_and(|raised| raised.is_open);
        let event = match topic {
            Topic::Registry(reason, _) => !self.has_recent_event(*reason, now),
            _ => !was_open,
        };
        let last = before.and_then(|raised| raised.event);
        let raised = RaisedWarning {
            event: if event { Some(now) } else { last },
            is_open: true,
        };
        self.raised.insert(topic.clone(), raised);
        Channels {
            log: !was_open,
            event,
        }
    }

    /// Whether a recent Event reported a registry failure with this reason, of any container.
    fn has_recent_event(&self, reason: Reason, now: Timestamp) -> bool {
        self.raised.iter().any(|(topic, raised)| {
            let same = matches!(topic, Topic::Registry(other, _) if *other == reason);
            same && raised.has_recent_event(now)
        })
    }
}

impl RaisedWarning {
    /// Whether a recent Event reported it. A time in the future is from before the clock was set back.
    fn has_recent_event(&self, now: Timestamp) -> bool {
        self.event
            .is_some_and(|at| now.duration_since(at).abs() < REGISTRY_INTERVAL)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOTH: Channels = Channels {
        log: true,
        event: true,
    };
    const NEITHER: Channels = Channels {
        log: false,
        event: false,
    };

    const CHECKED: Extent = Extent::Containers { rolling_out: false };
    const ROLLING_OUT: Extent = Extent::Containers { rolling_out: true };

    fn minute(minute: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + SignedDuration::from_mins(minute)
    }

    fn timeout(container: &str) -> Topic {
        Topic::Registry(Reason::Timeout, container.to_owned())
    }

    #[test]
    fn an_open_warning_is_reported_once() {
        let mut warnings = Warnings::default();
        let topics = [Topic::PullPolicy("app".to_owned())];
        assert_eq!(warnings.update(&topics, CHECKED, minute(0)), [BOTH]);
        assert_eq!(warnings.update(&topics, CHECKED, minute(1)), [NEITHER]);
        assert_eq!(warnings.update(&[], CHECKED, minute(2)), []);
        assert_eq!(
            warnings.update(&topics, CHECKED, minute(3)),
            [BOTH],
            "it was closed in between"
        );
    }

    #[test]
    fn a_warning_stays_open_while_its_subject_is_not_observed() {
        let containers = [
            Topic::PullPolicy("proxy".to_owned()),
            timeout("app"),
            Topic::NotPinned("app".to_owned()),
        ];
        let refused = Topic::ApiServer("forbidden".to_owned());
        let mut warnings = Warnings::default();
        warnings.update(&containers, CHECKED, minute(0));
        for extent in [Extent::Object, Extent::Annotations] {
            assert_eq!(warnings.update(&[], extent, minute(1)), []);
            let again = warnings.update(&containers, CHECKED, minute(2));
            assert_eq!(again, [NEITHER; 3], "{extent:?}");
        }
        let one = std::slice::from_ref(&refused);
        assert_eq!(warnings.update(one, Extent::Annotations, minute(3)), [BOTH]);
        assert_eq!(warnings.update(&[], Extent::Object, minute(4)), []);
        assert_eq!(
            warnings.update(one, Extent::Annotations, minute(5)),
            [NEITHER],
            "nothing was requested in between"
        );
        assert_eq!(warnings.update(&[], CHECKED, minute(6)), []);
        assert_eq!(warnings.update(one, Extent::Annotations, minute(7)), [BOTH]);
    }

    #[test]
    fn events_of_a_failing_registry_are_an_hour_apart_for_each_reason() {
        let mut warnings = Warnings::default();
        assert_eq!(
            warnings.update(&[timeout("app")], CHECKED, minute(0)),
            [BOTH]
        );
        assert_eq!(warnings.update(&[], CHECKED, minute(1)), []);
        let logged = Channels {
            log: true,
            event: false,
        };
        assert_eq!(
            warnings.update(&[timeout("app")], CHECKED, minute(2)),
            [logged]
        );
        assert_eq!(
            warnings.update(&[timeout("app"), timeout("side")], CHECKED, minute(3)),
            [NEITHER, logged]
        );
        let reminder = Channels {
            log: false,
            event: true,
        };
        assert_eq!(
            warnings.update(&[timeout("app")], CHECKED, minute(60)),
            [reminder]
        );
        let other = Topic::Registry(Reason::Denied, "app".to_owned());
        assert_eq!(
            warnings.update(&[other], CHECKED, minute(61)),
            [BOTH],
            "another reason is another warning"
        );
    }

    #[test]
    fn a_container_that_crashes_repeatedly_is_reported_once() {
        let stuck = |digest: &str| {
            Topic::NotConverging(StuckRollout {
                reason: Reason::CrashLoopBackOff,
                digest: digest.to_owned(),
                attempt: 1,
                container: "app".to_owned(),
            })
        };
        let mut warnings = Warnings::default();
        assert_eq!(warnings.update(&[stuck("a")], CHECKED, minute(0)), [BOTH]);
        assert_eq!(warnings.update(&[], ROLLING_OUT, minute(1)), [], "it runs");
        assert_eq!(
            warnings.update(&[stuck("a")], CHECKED, minute(2)),
            [NEITHER]
        );
        assert_eq!(
            warnings.update(&[], ROLLING_OUT, minute(3)),
            [],
            "another image"
        );
        assert_eq!(warnings.update(&[stuck("b")], CHECKED, minute(4)), [BOTH]);
        assert_eq!(warnings.update(&[], CHECKED, minute(5)), [], "it is fixed");
        assert_eq!(warnings.update(&[stuck("b")], CHECKED, minute(6)), [BOTH]);
    }

    #[test]
    fn an_event_far_in_the_future_suppresses_no_other() {
        for (then, reported_again) in [(-61, true), (-59, false), (59, false), (61, true)] {
            let mut warnings = Warnings::default();
            warnings.update(&[timeout("app")], CHECKED, minute(then));
            warnings.update(&[], CHECKED, minute(0));
            let again = warnings.update(&[timeout("app")], CHECKED, minute(0));
            let event = again.iter().any(|channels| channels.event);
            assert_eq!(event, reported_again, "{then}");
        }
    }
}
