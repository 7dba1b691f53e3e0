//! Validates what keys mean in combination, and the files that they name.

mod hints;
mod notifications;
mod registries;

use std::path::PathBuf;

use jiff::tz::TimeZone;
use kube_autorollout_core::{platform::Platforms, schedule::Schedule};

use super::{
    document::Document,
    files::{self, CaFile},
    model::{List, Model, entries, values},
    problem::KeyPath,
    scalar::Valid,
    settings::{Config, Namespaces, Rollouts},
    values::{CronExpression, Interval, NamespaceName},
};

/// All namespaces.
const ALL: &str = "*";

/// The configuration; it must not be used if the document has problems.
pub(super) fn config(model: Model, document: &mut Document) -> Option<Config> {
    let Valid(zone) = model.time_zone;
    let Valid(port) = model.webserver.0.port;
    let schedule = schedule(model.interval, model.cron_schedule, &zone, document);
    let namespaces = namespaces(model.watch.0.namespaces, document);
    let registries = registries::registries(model.registries, document);
    let hints = hints::hints(model.hints.0, port, document);
    let notifications = notifications::notifications(model.notifications.0, document);
    let authorities = KeyPath::dotted("tls.caCertificatePaths");
    let ca_certificates = certificates(model.tls.0.ca_certificate_paths, &authorities, document);
    let platforms: Vec<_> = values(model.platforms).collect();
    Some(Config {
        schedule: schedule?,
        zone,
        log_level: model.log_level,
        log_format: model.log_format.0,
        port,
        namespaces,
        platforms: if platforms.is_empty() {
            Platforms::Every
        } else {
            Platforms::Of(platforms)
        },
        rollouts: Rollouts {
            max_concurrent: model.rollouts.0.max_concurrent.0.0,
            min_interval: model.rollouts.0.min_interval.0,
            settle: model.rollouts.0.settle.0,
            retry_after: values(model.rollouts.0.retry_after)
                .map(|delay| delay.0)
                .collect(),
        },
        pinning: model.pinning.0.enabled.0,
        leader_election: model.leader_election.0.enabled.0,
        registries,
        ca_certificates,
        hints: hints?,
        notifications: notifications?,
        kubectl_annotation: model.feature_flags.0.enable_kubectl_annotation.0,
        artifactory_fallback: model.feature_flags.0.enable_jfrog_artifactory_fallback.0,
    })
}

fn schedule(
    interval: Option<Valid<Interval>>,
    cron: Option<Valid<CronExpression>>,
    zone: &TimeZone,
    document: &mut Document,
) -> Option<Schedule> {
    if let Some(Valid(Interval(interval))) = interval {
        return Some(interval);
    }
    let Valid(CronExpression(text)) = cron?;
    let schedule = Schedule::parse_cron(&text, zone).map_err(|error| error.to_string());
    document.check(&KeyPath::dotted("cronSchedule"), schedule)
}

/// Reads the files of the list at `path`.
fn certificates(
    files: List<Valid<PathBuf>>,
    path: &KeyPath,
    document: &mut Document,
) -> Vec<CaFile> {
    entries(files, path)
        .filter_map(|(path, Valid(file))| document.check(&path, files::certificates(file)))
        .collect()
}

fn namespaces(list: List<Valid<NamespaceName>>, document: &mut Document) -> Namespaces {
    let path = KeyPath::dotted("watch.namespaces");
    let is_single = list.iter().flatten().count() == 1;
    let mut names = Vec::new();
    for (path, Valid(NamespaceName(name))) in entries(list, &path) {
        if name == ALL && !is_single {
            document.invalid(path, "[\"*\"] alone, or names only");
        } else if names.contains(&name) {
            document.invalid(path, "unique namespaces");
        } else {
            names.push(name);
        }
    }
    match names.as_slice() {
        [] => Namespaces::Own,
        [all] if all == ALL => Namespaces::All,
        _ => Namespaces::Listed(names),
    }
}
