//! The annotations of a workload: what its owner asks for.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{Timestamp, tz::TimeZone};

use crate::{
    found::Found,
    schedule::{CronError, IntervalError, Schedule},
};

/// The label that selects a workload when it is `true`.
pub const ENABLED: &str = "kube-autorollout/enabled";

/// Annotation of a workload: only these containers are checked.
pub const CONTAINERS: &str = "kube-autorollout/containers";

/// Annotation of a workload: these containers are left out.
pub const EXCLUDE_CONTAINERS: &str = "kube-autorollout/exclude-containers";

/// Annotation of a workload: its own interval.
pub const INTERVAL: &str = "kube-autorollout/interval";

/// Annotation of a workload: its own cron expression.
pub const SCHEDULE: &str = "kube-autorollout/schedule";

/// Annotation of a workload: nothing is rolled out for now, or, if it is `false`, also what somebody went back from.
pub const HOLD: &str = "kube-autorollout/hold";

/// Annotation of a pod template: when we rolled it out.
pub const RESTARTED_AT: &str = "kube-autorollout/restartedAt";

/// Annotation of a pod template: when it was rolled out, under the key that kubectl uses.
pub const KUBECTL_RESTARTED_AT: &str = "kubectl.kubernetes.io/restartedAt";

/// Annotation of a pod template: the [attempts](crate::record::Attempts) of rollouts to a digest that were repeated.
pub const ATTEMPTS: &str = "kube-autorollout/attempts";

/// Annotation of a pod template: the [pins](crate::pins::Pins) of what its pods run.
pub const PINS: &str = "kube-autorollout/pins";

/// Annotation of a pod template: its owner's, `false` leaves its pods without pins.
pub const PIN: &str = "kube-autorollout/pin";

/// Annotation of a pod template: the [record](crate::record::Record) of what was rolled out.
pub const DIGESTS: &str = "kube-autorollout/digests";

/// What the annotations of a workload ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The names of the containers to check. There is at least one, and each is in the template.
    pub selected: BTreeSet<String>,
    /// The workload's own schedule, if it has one.
    pub schedule: Option<Schedule>,
    /// Whether rollouts are held back.
    pub hold: Option<Hold>,
}

/// For how long rollouts are held back. Checks go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hold {
    /// Until the annotation goes.
    Indefinitely,
    /// Until this instant, which is when the workload has to be decided upon again.
    Until(Timestamp),
    /// Not at all: not even what somebody went back from.
    Off,
}

impl Hold {
    /// When it ends by itself.
    pub const fn end(self) -> Option<Timestamp> {
        match self {
            Self::Indefinitely | Self::Off => None,
            Self::Until(end) => Some(end),
        }
    }
}

/// A container of a pod template.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TemplateContainer<'a> {
    /// Its name.
    pub name: &'a str,
    /// When it runs.
    pub kind: ContainerKind,
}

/// When a container of a pod runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContainerKind {
    /// As long as the pod.
    Regular,
    /// As long as the pod, from before the regular ones: an init container that restarts `Always`.
    Sidecar,
    /// Once, before the regular ones. It is checked only when its name is asked for.
    Init,
}

/// An annotation that cannot be followed. The workload is left alone until it is fixed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidAnnotation {
    /// Both lists of containers are given.
    #[error(
        "annotations {CONTAINERS} and {EXCLUDE_CONTAINERS} exclude each other: keep one of them"
    )]
    BothLists,
    /// Both kinds of schedule are given.
    #[error("annotations {INTERVAL} and {SCHEDULE} exclude each other: keep one of them")]
    BothSchedules,
    /// The template has no container of that name.
    #[error("annotation {annotation} names container {found}: the template has {}", allowed.join(", "))]
    NoSuchContainer {
        /// The annotation.
        annotation: &'static str,
        /// The name.
        found: Found,
        /// The names that the template has.
        allowed: Vec<String>,
    },
    /// No container is left to check.
    #[error("annotation {annotation} is {found}, which leaves no container to check: name at least one of {}", allowed.join(", "))]
    NothingLeft {
        /// The annotation.
        annotation: &'static str,
        /// Its value.
        found: Found,
        /// The names that the template has.
        allowed: Vec<String>,
    },
    /// The interval does not parse.
    #[error("annotation {INTERVAL}: {0}")]
    Interval(IntervalError),
    /// The cron expression does not parse.
    #[error("annotation {SCHEDULE}: {0}")]
    Schedule(CronError),
    /// The hold is neither `true` or `false` nor an instant.
    #[error(
        "annotation {HOLD} is {found}: allowed is true, false or an instant such as 2026-01-31T08:00:00Z"
    )]
    Hold {
        /// Its value.
        found: Found,
    },
}

impl Settings {
    /// Reads the annotations of a workload whose template has these `containers`, for the clocks of `zone`.
    ///
    /// # Errors
    ///
    /// [`InvalidAnnotation`], the first of them.
    pub fn parse(
        annotations: &BTreeMap<String, String>,
        containers: &[TemplateContainer<'_>],
        zone: &TimeZone,
    ) -> Result<Self, InvalidAnnotation> {
        let value = |key: &str| annotations.get(key).map(String::as_str);
        Ok(Self {
            selected: selected(value(CONTAINERS), value(EXCLUDE_CONTAINERS), containers)?,
            schedule: schedule(value(INTERVAL), value(SCHEDULE), zone)?,
            hold: value(HOLD).map(hold).transpose()?,
        })
    }

    /// Whether rollouts are held back at `now`.
    pub fn is_held(&self, now: Timestamp) -> bool {
        match self.hold {
            Some(Hold::Indefinitely) => true,
            Some(Hold::Until(end)) => now < end,
            Some(Hold::Off) | None => false,
        }
    }

    /// Whether what somebody went back from is held back.
    pub fn keeps_rollbacks(&self) -> bool {
        self.hold != Some(Hold::Off)
    }
}

/// The containers to check.
fn selected(
    only: Option<&str>,
    without: Option<&str>,
    containers: &[TemplateContainer<'_>],
) -> Result<BTreeSet<String>, InvalidAnnotation> {
    let lasting = containers
        .iter()
        .filter(|container| container.kind != ContainerKind::Init)
        .map(|container| container.name.to_owned());
    let (annotation, found, selected) = match (only, without) {
        (None, None) => return Ok(lasting.collect()),
        (Some(_), Some(_)) => return Err(InvalidAnnotation::BothLists),
        (Some(list), None) => (CONTAINERS, list, names(CONTAINERS, list, containers)?),
        (None, Some(list)) => {
            let without = names(EXCLUDE_CONTAINERS, list, containers)?;
            let left = lasting.filter(|name| !without.contains(name)).collect();
            (EXCLUDE_CONTAINERS, list, left)
        }
    };
    if selected.is_empty() {
        return Err(InvalidAnnotation::NothingLeft {
            annotation,
            found: Found::new(found),
            allowed: all_names(containers),
        });
    }
    Ok(selected)
}

/// The names in a comma-separated list, all of which the template must have.
fn names(
    annotation: &'static str,
    list: &str,
    containers: &[TemplateContainer<'_>],
) -> Result<BTreeSet<String>, InvalidAnnotation> {
    let names = list
        .split(',')
        .map(str::trim)
        .filter(|name| !name.is_empty());
    names
        .map(|name| {
            if containers.iter().any(|container| container.name == name) {
                return Ok(name.to_owned());
            }
            Err(InvalidAnnotation::NoSuchContainer {
                annotation,
                found: Found::new(name),
                allowed: all_names(containers),
            })
        })
        .collect()
}

fn all_names(containers: &[TemplateContainer<'_>]) -> Vec<String> {
    containers
        .iter()
        .map(|container| container.name.to_owned())
        .collect()
}

fn schedule(
    interval: Option<&str>,
    cron: Option<&str>,
    zone: &TimeZone,
) -> Result<Option<Schedule>, InvalidAnnotation> {
    match (interval, cron) {
        (None, None) => Ok(None),
        (Some(_), Some(_)) => Err(InvalidAnnotation::BothSchedules),
        (Some(interval), None) => Schedule::parse_interval(interval)
            .map(Some)
            .map_err(InvalidAnnotation::Interval),
        (None, Some(cron)) => Schedule::parse_cron(cron, zone)
            .map(Some)
            .map_err(InvalidAnnotation::Schedule),
    }
}

fn hold(text: &str) -> Result<Hold, InvalidAnnotation> {
    match text.trim() {
        "true" => Ok(Hold::Indefinitely),
        "false" => Ok(Hold::Off),
        instant => instant
            .parse()
            .map(Hold::Until)
            .map_err(|_| InvalidAnnotation::Hold {
                found: Found::new(text),
            }),
    }
}

#[cfg(test)]
mod tests;
