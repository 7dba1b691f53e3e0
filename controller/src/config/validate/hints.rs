//! The receivers of hints.

use std::{collections::BTreeMap, num::NonZeroU16, path::PathBuf};

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
    scalar::{Scalar as _, Valid},
    settings::Hints,
    values::Text,
};

/// Makes the receivers, of which none is to be used when there are problems.
pub(super) fn hints(
    hints: model::Hints,
    admin: NonZeroU16,
    path: &KeyPath,
    document: &mut Document,
) -> Option<Hints> {
    let Valid(port) = hints.port;
    let list = path.key("receivers");
    let (paths, settings): (Vec<_>, Vec<_>) = entries(hints.receivers, &list)
        .filter_map(|(path, Section(entry))| {
            let settings = settings(entry, &path, document)?;
            Some((path, settings))
        })
        .unzip();
    if port == admin && !settings.is_empty() {
        document.mistake(
            path.key("port"),
            "must be another port than webserver.port".to_owned(),
        );
    }
    match receivers(settings) {
        Ok(receivers) => Some(Hints { port, receivers }),
        Err(problems) => {
            for problem in problems {
                let path = paths.get(problem.receiver).unwrap_or(&list);
                let keys = problem.key.split('.');
                let path = keys.fold(path.clone(), |path, key| path.key(key));
                document.mistake(path, problem.message);
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
    document.missing(path.key("name"), "a name: hints are sent to /hooks/<name>");
    document.missing(path.key("type"), Sender::ALLOWED);
    let (Valid(Text(name)), Valid(sender)) = (entry.name?, entry.r#type?);
    for (key, file) in [
        ("secretFile", &entry.secret_file),
        ("previousSecretFile", &entry.previous_secret_file),
    ] {
        if let Some(Valid(file)) = file {
            document.checked(&path.key(key), files::hint_secret(file, sender));
        }
    }
    let file = |file: Option<Valid<PathBuf>>| file.map(|Valid(file)| file);
    Some(ReceiverSettings {
        secret_file: file(entry.secret_file),
        previous_secret_file: file(entry.previous_secret_file),
        images: values(entry.images.unwrap_or_default())
            .map(|Text(image)| image)
            .collect(),
        may_wait: entry.may_wait.is_some_and(|may| may.0),
        oidc: entry.oidc.map(|Section(oidc)| self::oidc(oidc)),
        naming: Naming {
            registry_host: text(entry.registry_host),
            repository_prefix: text(entry.repository_prefix),
            repositories: texts(entry.repositories)
                .map(|(key, prefix)| (key, vec![prefix]))
                .collect(),
        },
        ..ReceiverSettings::new(name, sender)
    })
}

fn oidc(oidc: model::Oidc) -> OidcSettings {
    OidcSettings {
        issuer: text(oidc.issuer).unwrap_or_default(),
        audience: text(oidc.audience).unwrap_or_else(|| DEFAULT_AUDIENCE.to_owned()),
        claims: texts(oidc.claims).collect(),
    }
}

fn text(text: Option<Valid<Text>>) -> Option<String> {
    text.map(|Valid(Text(text))| text)
        .filter(|text| !text.is_empty())
}

fn texts(texts: Option<BTreeMap<String, Valid<Text>>>) -> impl Iterator<Item = (String, String)> {
    let texts = texts.unwrap_or_default().into_iter();
    texts.map(|(key, Valid(Text(text)))| (key, text))
}
