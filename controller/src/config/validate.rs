//! The model as a configuration: what its values mean together, and the files that they name.

mod hints;
mod notifications;
mod registries;

use std::{collections::BTreeSet, path::PathBuf};

use jiff::tz::TimeZone;
use kube_autorollout_core::{platform::Platforms, schedule::Schedule};

use super::{
    document::Document,
    files::{self, CaFile},
    model::{self, List, Model, Section, entries, values},
    problem::KeyPath,
    rollouts::Rollouts,
    scalar::Valid,
    settings::{Config, Namespaces},
    values::{CronExpression, Interval, NamespaceName},
};

/// Every namespace.
const ALL: &str = "*";

/// Makes the configuration, of which nothing is to be used when there are problems.
pub(super) fn config(model: Model, document: &mut Document) -> Option<Config> {
    let root = KeyPath::default();
    let Valid(zone) = model.time_zone;
    let schedule = schedule(model.interval, model.cron_schedule, &zone, document);
    let Section(model::Watch { namespaces: names }) = model.watch;
    let namespaces = namespaces(names, &root.key("watch").key("namespaces"), document);
    let registries = registries::registries(model.registries, &root.key("registries"), document);
    let hints = hints::hints(
        model.hints.0,
        model.webserver.0.port.0,
        &root.key("hints"),
        document,
    );
    let notifications =
        notifications::notifications(model.notifications.0, &root.key("notifications"), document);
    let authorities = root.key("tls").key("caCertificatePaths");
    let ca_certificates = certificates(model.tls.0.ca_certificate_paths, &authorities, document);
    let platforms: Vec<_> = values(model.platforms).collect();
    let Section(flags) = model.feature_flags;
    Some(Config {
        schedule: schedule?,
        zone,
        log_level: model.log_level,
        log_format: model.log_format.0,
        port: model.webserver.0.port.0,
        namespaces,
        platforms: if platforms.is_empty() {
            Platforms::Every
        } else {
            Platforms::Of(platforms)
        },
        rollouts: rollouts(model.rollouts.0),
        pinning: model.pinning.0.enabled.0,
        leader_election: model.leader_election.0.enabled.0,
        registries,
        ca_certificates,
        hints: hints?,
        notifications: notifications?,
        kubectl_annotation: flags.enable_kubectl_annotation.0,
        artifactory_fallback: flags.enable_jfrog_artifactory_fallback.0,
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
    document.checked(&KeyPath::default().key("cronSchedule"), schedule)
}

/// Reads the files of a list.
fn certificates(
    files: List<Valid<PathBuf>>,
    path: &KeyPath,
    document: &mut Document,
) -> Vec<CaFile> {
    entries(files, path)
        .filter_map(|(path, Valid(file))| document.checked(&path, files::certificates(file)))
        .collect()
}

fn namespaces(
    names: List<Valid<NamespaceName>>,
    path: &KeyPath,
    document: &mut Document,
) -> Namespaces {
    let several = names.iter().flatten().count() > 1;
    let mut seen = BTreeSet::new();
    for (path, Valid(NamespaceName(name))) in entries(names.iter().map(Option::as_ref), path) {
        if name == ALL && several {
            document.invalid(path, "[\"*\"] alone, or names only");
        } else if !seen.insert(name.clone()) {
            document.invalid(path, "unique namespaces");
        }
    }
    let names: Vec<_> = values(names).map(|NamespaceName(name)| name).collect();
    match names.as_slice() {
        [] => Namespaces::Own,
        [all] if all == ALL => Namespaces::All,
        _ => Namespaces::Listed(names),
    }
}

fn rollouts(rollouts: model::Rollouts) -> Rollouts {
    Rollouts {
        max_concurrent: rollouts.max_concurrent.0.0,
        min_interval: rollouts.min_interval.0.0,
        settle: rollouts.settle.0.0,
        retry_after: values(rollouts.retry_after).map(|wait| wait.0).collect(),
    }
}
