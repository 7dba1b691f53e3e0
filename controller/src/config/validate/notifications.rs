//! The sinks of notifications.

use std::path::PathBuf;

use kube_autorollout_notifications::{SinkSettings, SinkType, Target, sinks};

use super::super::{
    document::Document,
    files::{self, TARGET},
    model::{self, Section, entries, values},
    problem::{KeyPath, invalid},
    scalar::{Scalar as _, Valid},
    settings::Notifications,
    values::Text,
};

/// Makes the sinks, of which none is to be used when there are problems.
pub(super) fn notifications(
    notifications: model::Notifications,
    path: &KeyPath,
    document: &mut Document,
) -> Option<Notifications> {
    let Valid(Text(cluster)) = notifications.cluster;
    let list = path.key("sinks");
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
                document.mistake(path.key(problem.key), problem.message);
            }
            None
        }
    }
}

fn settings(entry: model::Sink, path: &KeyPath, document: &mut Document) -> Option<SinkSettings> {
    document.missing(path.key("name"), "a name for the log and metrics");
    document.missing(path.key("type"), SinkType::ALLOWED);
    if let Some(Valid(file)) = &entry.url_file {
        document.checked(&path.key("urlFile"), files::target(file));
    }
    let secret_file = entry.secret_file.map(|Valid(Text(file))| file);
    let secret_file = secret_file.filter(|file| !file.is_empty());
    let secret_file = secret_file.map(PathBuf::from);
    if let Some(file) = &secret_file {
        document.checked(&path.key("secretFile"), files::signing_key(file));
    }
    let url = entry.url.map(|Valid(url)| {
        let target = url.expose().parse::<Target>();
        let target = target.map_err(|error| invalid(&error.to_string(), TARGET));
        document.checked(&path.key("url"), target)
    });
    let url = match url {
        Some(None) => return None, // a problem already
        Some(url) => url,
        None => None,
    };
    let (Valid(Text(name)), Valid(kind)) = (entry.name?, entry.r#type?);
    Some(SinkSettings {
        name,
        kind,
        url,
        url_file: entry.url_file.map(|Valid(file)| file),
        secret_file,
        events: values(entry.events.unwrap_or_default()).collect(),
        namespaces: values(entry.namespaces.unwrap_or_default())
            .map(|Text(pattern)| pattern)
            .collect(),
        group: entry.group.map(|Valid(group)| group),
    })
}
