//! The sinks of notifications.

use std::path::PathBuf;

use kube_autorollout_notifications::{SinkSettings, SinkType, Target, sinks};

use super::super::{
    document::Document,
    files::{self, TARGET},
    model::{self, Section, entries, values},
    problem::{KeyPath, invalid},
    scalar::{Scalar as _, Valid, filled, value},
    settings::Notifications,
};

/// The sinks, unless one of them is invalid.
pub(super) fn notifications(
    notifications: model::Notifications,
    document: &mut Document,
) -> Option<Notifications> {
    let Valid(cluster) = notifications.cluster;
    let list = KeyPath::dotted("notifications.sinks");
    let (paths, settings): (Vec<_>, Vec<_>) = entries(notifications.sinks, &list)
        .filter_map(|(path, Section(entry))| {
            let settings = settings(entry, &path, document)?;
            Some((path, settings))
        })
        .unzip();
    match sinks(settings) {
        Ok(sinks) => Some(Notifications { cluster, sinks }),
        Err(problems) => {
            for problem in problems {
                let path = paths.get(problem.sink).unwrap_or(&list);
                document.problem(path.key(problem.key), problem.message);
            }
            None
        }
    }
}

fn settings(entry: model::Sink, path: &KeyPath, document: &mut Document) -> Option<SinkSettings> {
    document.require(path.key("name"), "a name for the log and metrics");
    document.require(path.key("type"), SinkType::ALLOWED);
    let url_file = value(entry.url_file);
    if let Some(file) = &url_file {
        document.check(&path.key("urlFile"), files::target(file));
    }
    let secret_file = filled(entry.secret_file).map(PathBuf::from);
    if let Some(file) = &secret_file {
        document.check(&path.key("secretFile"), files::signing_key(file));
    }
    let url = match entry.url {
        Some(Valid(url)) => {
            let target = url.expose().parse::<Target>();
            let target = target.map_err(|error| invalid(&error.to_string(), TARGET));
            Some(document.check(&path.key("url"), target)?)
        }
        None => None,
    };
    let (Valid(name), Valid(kind)) = (entry.name?, entry.r#type?);
    Some(SinkSettings {
        name,
        kind,
        url,
        url_file,
        secret_file,
        events: values(entry.events.unwrap_or_default()).collect(),
        namespaces: values(entry.namespaces.unwrap_or_default()).collect(),
        group: value(entry.group),
    })
}
