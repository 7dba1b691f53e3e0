//! The receivers of hints.

use std::{collections::BTreeMap, num::NonZeroU16};

use kube_autorollout_hints::{
    Naming, ReceiverSettings, Sender,
    oidc::{DEFAULT_AUDIENCE, OidcSettings},
    receivers,
};

use super::super::{
    document::Document,
    files,
    model::{self, Section, entries, values},
    problem::KeyPath,
    scalar::{Scalar as _, Valid, filled, value},
    settings::Hints,
};

/// The receivers, unless one of them is invalid.
pub(super) fn hints(
    hints: model::Hints,
    webserver: NonZeroU16,
    document: &mut Document,
) -> Option<Hints> {
    let Valid(port) = hints.port;
    let list = KeyPath::dotted("hints.receivers");
    let (paths, settings): (Vec<_>, Vec<_>) = entries(hints.receivers, &list)
        .filter_map(|(path, Section(entry))| {
            let settings = settings(entry, &path, document)?;
            Some((path, settings))
        })
        .unzip();
    if port == webserver && !settings.is_empty() {
        let message = "must be another port than webserver.port".to_owned();
        document.problem(KeyPath::dotted("hints.port"), message);
    }
    match receivers(settings) {
        Ok(receivers) => Some(Hints { port, receivers }),
        Err(problems) => {
            for problem in problems {
                let path = paths.get(problem.receiver).unwrap_or(&list).clone();
                let path = problem.key.split('.').fold(path, |path, key| path.key(key));
                document.problem(path, problem.message);
            }
            None
        }
    }
}

fn settings(
    entry: model::Receiver,
    path: &KeyPath,
    document: &mut Document,
) -> Option<ReceiverSettings> {
    document.require(path.key("name"), "a name: hints are sent to /hooks/<name>");
    document.require(path.key("type"), Sender::ALLOWED);
    let (Valid(name), Valid(sender)) = (entry.name?, entry.r#type?);
    let secret_file = value(entry.secret_file);
    let previous_secret_file = value(entry.previous_secret_file);
    for (key, file) in [
        ("secretFile", &secret_file),
        ("previousSecretFile", &previous_secret_file),
    ] {
        if let Some(file) = file {
            document.check(&path.key(key), files::hint_secret(file, sender));
        }
    }
    Some(ReceiverSettings {
        secret_file,
        previous_secret_file,
        images: values(entry.images.unwrap_or_default()).collect(),
        may_wait: value(entry.may_wait).unwrap_or_default(),
        oidc: entry.oidc.map(|Section(oidc)| OidcSettings {
            issuer: filled(oidc.issuer).unwrap_or_default(),
            audience: filled(oidc.audience).unwrap_or_else(|| DEFAULT_AUDIENCE.to_owned()),
            claims: texts(oidc.claims).collect(),
        }),
        naming: Naming {
            registry_host: filled(entry.registry_host),
            repository_prefix: filled(entry.repository_prefix),
            repositories: texts(entry.repositories)
                .map(|(key, prefix)| (key, vec![prefix]))
                .collect(),
        },
        ..ReceiverSettings::new(name, sender)
    })
}

fn texts(texts: Option<BTreeMap<String, Valid<String>>>) -> impl Iterator<Item = (String, String)> {
    let texts = texts.unwrap_or_default().into_iter();
    texts.map(|(key, Valid(text))| (key, text))
}
