//! The annotations of a workload: its owner's settings.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{Timestamp, tz::TimeZone};

use crate::{
    quoted::Quoted,
    schedule::{CronError, IntervalError, Schedule},
};

/// The label that selects a workload when it is `true`.
pub const ENABLED: &str = "kube-autorollout/enabled";

/// Annotation of a workload: only these containers are checked.
pub const CONTAINERS: &str = "kube-autorollout/containers";

/// Annotation of a workload: these containers are not checked.
pub const EXCLUDE_CONTAINERS: &str = "kube-autorollout/exclude-containers";

/// Annotation of a workload: its own interval.
pub const INTERVAL: &str = "kube-autorollout/interval";

/// Annotation of a workload: its own cron expression.
pub const SCHEDULE: &str = "kube-autorollout/schedule";

/// Annotation of a workload: holds rollouts back; `false` also allows a digest that was rolled back.
pub const HOLD: &str = "kube-autorollout/hold";

/// Annotation of a pod template: the time of our last rollout.
pub const RESTARTED_AT: &str = "kube-autorollout/restartedAt";

/// Annotation of a pod template: the time of the last rollout, under the key of kubectl.
pub const KUBECTL_RESTARTED_AT: &str = "kubectl.kubernetes.io/restartedAt";

/// Annotation of a pod template: the [attempts](crate::record::Attempts) of repeated rollouts.
pub const ATTEMPTS: &str = "kube-autorollout/attempts";

/// Annotation of a pod template: the [pins](crate::pins::Pins) of its containers.
pub const PINS: &str = "kube-autorollout/pins";

/// Annotation of a pod template, set by its owner: `false` leaves its pods without pins.
pub const PIN: &str = "kube-autorollout/pin";

/// Annotation of a pod template: the [record](crate::record::Record) of earlier rollouts.
pub const DIGESTS: &str = "kube-autorollout/digests";

/// The settings in a workload's annotations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The names of the containers to check: at least one, all of them in the template.
    pub selected: BTreeSet<String>,
    /// The workload's own schedule, if it has one.
    pub schedule: Option<Schedule>,
    /// Whether rollouts are held back.
    pub hold: Option<Hold>,
}

/// For how long rollouts are held back. Checks continue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hold {
    /// Until the annotation is removed.
    Indefinitely,
    /// Until this instant, at which the workload must be rechecked.
    Until(Timestamp),
    /// Not at all: even a digest that was rolled back is rolled out.
    Off,
}

impl Hold {
    /// When it expires.
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
    /// Once, before the regular ones. It is checked only if it is listed by name.
    Init,
}

/// An invalid annotation. The workload is left alone until it is fixed.
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
    #[error("annotation {annotation} names container {name}: the template has {}", allowed.join(", "))]
    NoSuchContainer {
        /// The annotation.
        annotation: &'static str,
        /// The name.
        name: Quoted,
        /// The names that the template has.
        allowed: Vec<String>,
    },
    /// No container is left to check.
    #[error("annotation {annotation} is {value}, which leaves no container to check: name at least one of {}", allowed.join(", "))]
    NothingLeft {
        /// The annotation.
        annotation: &'static str,
        /// Its value.
        value: Quoted,
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
        "annotation {HOLD} is {0}: allowed is true, false or an instant such as 2026-01-31T08:00:00Z"
    )]
    Hold(Quoted),
}

impl Settings {
    /// Parses the annotations of a workload whose template has these `containers`; cron expressions are evaluated in `zone`.
    ///
    /// # Errors
    ///
    /// The first [`InvalidAnnotation`].
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

    /// Whether a digest that was rolled back is held back.
    pub fn holds_rollbacks(&self) -> bool {
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
    let (annotation, value, selected) = match (only, without) {
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
            value: Quoted::new(value),
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
                name: Quoted::new(name),
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
            .map_err(|_| InvalidAnnotation::Hold(Quoted::new(text))),
    }
}

#[cfg(test)]
mod tests;
