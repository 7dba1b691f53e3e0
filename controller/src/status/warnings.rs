//! Warnings that are reported once, and again only when they change.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use kube_autorollout_core::state::Reason;

use super::recorder;
use crate::rollout::tracker::Stuck;

/// A registry that fails is reported in Events at most this often, per workload and kind of error.
const REGISTRY_EVENTS: SignedDuration = SignedDuration::from_hours(1);

/// What a warning is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Topic {
    /// A container's registry did not answer.
    Registry(Reason, String),
    /// A container's image is not pulled anew.
    PullPolicy(String),
    /// The digest that is the record of a container was rolled out, and the pods do not run it.
    NotConverging(Stuck),
    /// Pods of a container are not pinned that should be.
    NotPinned(String),
    /// A registry does not have what the pods of a container are pinned to.
    PinnedDigestGone(String, String),
    /// The annotations cannot be followed.
    Invalid(String),
    /// The API server refused or did not answer.
    ApiServer(String),
}

impl Topic {
    /// Whether it may still be the case when nothing is seen of it while a rollout is in flight.
    fn outlasts_rollouts(&self) -> bool {
        matches!(
            self,
            Self::NotConverging(_) | Self::NotPinned(_) | Self::PinnedDigestGone(..)
        )
    }

    /// Whether a cloud issues no token, which concerns all workloads alike.
    pub(super) fn is_of_the_cloud(&self) -> bool {
        matches!(self, Self::Registry(Reason::CloudIdentity, _))
    }
}

/// Something that went wrong, and how it is reported.
pub(super) struct Warning {
    pub(super) topic: Topic,
    /// Nothing where it is only logged.
    pub(super) event: Option<recorder::Reason>,
    pub(super) note: String,
}

/// In which ways a warning is reported now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Channels {
    pub(super) log: bool,
    pub(super) event: bool,
}

/// The warnings about one workload.
#[derive(Debug, Default)]
pub(super) struct Warnings {
    raised: BTreeMap<Topic, Raised>,
}

#[derive(Debug)]
struct Raised {
    /// When an Event reported it last.
    event: Option<Timestamp>,
    /// It was the case at the last check.
    stands: bool,
}

impl Warnings {
    /// What is the case now, and how each of it is reported; all else has passed. Only that a rollout does not
    /// converge has not while the state is `open`: a container that crashes again and again runs in between. Nor has then what
    /// is said of pins, as pods are not always read.
    pub(super) fn now(&mut self, topics: &[Topic], open: bool, now: Timestamp) -> Vec<Channels> {
        self.raised.retain(|topic, raised| {
            let is_open = open && topic.outlasts_rollouts();
            raised.stands = raised.stands && (is_open || topics.contains(topic));
            raised.stands || raised.reported_lately(now)
        });
        topics.iter().map(|topic| self.raise(topic, now)).collect()
    }

    /// Whether it was the case the last time, and was reported.
    fn stands(&self, topic: &Topic) -> bool {
        self.raised.get(topic).is_some_and(|raised| raised.stands)
    }

    fn raise(&mut self, topic: &Topic, now: Timestamp) -> Channels {
        let stood = self.stands(topic);
        let event = match topic {
            Topic::Registry(kind, _) => !self.reported_lately(*kind, now),
            _ => !stood,
        };
        let before = self.raised.get(topic).and_then(|raised| raised.event);
        let raised = Raised {
            event: if event { Some(now) } else { before },
            stands: true,
        };
        self.raised.insert(topic.clone(), raised);
        Channels { log: !stood, event }
    }

    /// Whether an Event of the last hour reported this kind of error, of any container.
    fn reported_lately(&self, kind: Reason, now: Timestamp) -> bool {
        self.raised.iter().any(|(topic, raised)| {
            let same = matches!(topic, Topic::Registry(other, _) if *other == kind);
            same && raised.reported_lately(now)
        })
    }
}

impl Raised {
    /// Whether an Event of the last hour reported it. One of times to come was written before the clock was set back.
    fn reported_lately(&self, now: Timestamp) -> bool {
        self.event
            .is_some_and(|at| now.duration_since(at).abs() < REGISTRY_EVENTS)
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

    fn minute(minute: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + SignedDuration::from_mins(minute)
    }

    fn timeout(container: &str) -> Topic {
        Topic::Registry(Reason::Timeout, container.to_owned())
    }

    #[test]
    fn what_stands_is_reported_once() {
        let mut warnings = Warnings::default();
        let topics = [Topic::PullPolicy("app".to_owned())];
        assert_eq!(warnings.now(&topics, false, minute(0)), [BOTH]);
        assert_eq!(warnings.now(&topics, false, minute(1)), [NEITHER]);
        assert_eq!(warnings.now(&[], false, minute(2)), []);
        assert_eq!(
            warnings.now(&topics, false, minute(3)),
            [BOTH],
            "it has passed in between"
        );
    }

    #[test]
    fn events_of_a_failing_registry_are_an_hour_apart_for_each_kind() {
        let mut warnings = Warnings::default();
        assert_eq!(warnings.now(&[timeout("app")], false, minute(0)), [BOTH]);
        assert_eq!(warnings.now(&[], false, minute(1)), []);
        let logged = Channels {
            log: true,
            event: false,
        };
        assert_eq!(warnings.now(&[timeout("app")], false, minute(2)), [logged]);
        assert_eq!(
            warnings.now(&[timeout("app"), timeout("side")], false, minute(3)),
            [NEITHER, logged]
        );
        let reminder = Channels {
            log: false,
            event: true,
        };
        assert_eq!(
            warnings.now(&[timeout("app")], false, minute(60)),
            [reminder]
        );
        let other = Topic::Registry(Reason::Denied, "app".to_owned());
        assert_eq!(
            warnings.now(&[other], false, minute(61)),
            [BOTH],
            "another kind is another warning"
        );
    }

    #[test]
    fn a_container_that_crashes_again_and_again_is_reported_once() {
        let stuck = |digest: &str| {
            Topic::NotConverging(Stuck {
                reason: Reason::CrashLoopBackOff,
                digest: digest.to_owned(),
                attempt: 1,
                container: "app".to_owned(),
            })
        };
        let mut warnings = Warnings::default();
        assert_eq!(warnings.now(&[stuck("a")], false, minute(0)), [BOTH]);
        assert_eq!(warnings.now(&[], true, minute(1)), [], "it runs");
        assert_eq!(warnings.now(&[stuck("a")], false, minute(2)), [NEITHER]);
        assert_eq!(warnings.now(&[], true, minute(3)), [], "another image");
        assert_eq!(warnings.now(&[stuck("b")], false, minute(4)), [BOTH]);
        assert_eq!(warnings.now(&[], false, minute(5)), [], "it is fixed");
        assert_eq!(warnings.now(&[stuck("b")], false, minute(6)), [BOTH]);
    }

    #[test]
    fn an_event_of_times_to_come_keeps_no_other_from_being_written() {
        for (then, reported_again) in [(-61, true), (-59, false), (59, false), (61, true)] {
            let mut warnings = Warnings::default();
            warnings.now(&[timeout("app")], false, minute(then));
            warnings.now(&[], false, minute(0));
            let again = warnings.now(&[timeout("app")], false, minute(0));
            let event = again.iter().any(|channels| channels.event);
            assert_eq!(event, reported_again, "{then}");
        }
    }
}
