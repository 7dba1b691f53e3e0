//! The entries of `registries`, and what their keys mean together.

use kube_autorollout_registry::HostPattern;

use super::{
    super::{
        files,
        model::{self, List, Section, entries},
        problem::{KeyPath, Mistake},
        registries::{RegistryEntry, Secret, TokenSource},
        report::Report,
        scalar::{Scalar, Valid},
        values::{SecretType, Username},
    },
    certificates::certificates,
};

/// Makes the entries that can be used.
pub(super) fn registries(
    list: List<Section<model::Registry>>,
    path: &KeyPath,
    report: &mut Report<'_>,
) -> Vec<RegistryEntry> {
    entries(list, path)
        .filter_map(|(path, Section(entry))| registry(entry, &path, report))
        .collect()
}

fn registry(
    entry: model::Registry,
    path: &KeyPath,
    report: &mut Report<'_>,
) -> Option<RegistryEntry> {
    report.missing(path.key("hostnamePattern"), HostPattern::ALLOWED);
    if entry.endpoint.is_some() && entry.plain_http.is_some() {
        let remark = "has no effect beside endpoint, whose scheme counts";
        report.warn(&path.key("plainHttp"), remark);
    }
    let secret = entry.secret.map_or(Some(Secret::None), |Section(written)| {
        secret(written, &path.key("secret"), report)
    });
    let authorities = path.key("caCertificatePaths");
    let ca_certificates = certificates(
        entry.ca_certificate_paths.unwrap_or_default(),
        &authorities,
        report,
    );
    Some(RegistryEntry {
        pattern: entry.hostname_pattern?.0,
        endpoint: entry.endpoint.map(|endpoint| endpoint.0),
        secret: secret?,
        ca_certificates,
        plain_http: entry.plain_http.is_some_and(|plain| plain.0),
        max_concurrent_requests: entry.max_concurrent_requests.map(|most| most.0.0),
    })
}

/// The keys that a secret of this type reads.
fn keys(kind: SecretType) -> &'static [&'static str] {
    match kind {
        SecretType::ImagePullSecret => &["mountPath"],
        SecretType::Opaque => &["username", "token", "tokenFile"],
        SecretType::None => &[],
    }
}

fn secret(secret: model::Secret, path: &KeyPath, report: &mut Report<'_>) -> Option<Secret> {
    let kind = match &secret.r#type {
        Some(kind) => kind.0,
        None => implied_type(path, report)?,
    };
    for key in ["mountPath", "username", "token", "tokenFile"] {
        let unused = path.key(key);
        if report.document.has(&unused) && !keys(kind).contains(&key) {
            report.warn(&unused, "has no effect with this type of secret");
        }
    }
    match kind {
        SecretType::None => Some(Secret::None),
        SecretType::Opaque => opaque(secret, path, report),
        SecretType::ImagePullSecret => {
            let path = path.key("mountPath");
            report.missing(path.clone(), "the folder of a mounted Secret");
            let Valid(mount_path) = secret.mount_path?;
            report.checked(&path, files::docker_configuration(&mount_path))?;
            Some(Secret::ImagePullSecret { mount_path })
        }
    }
}

/// The type of a secret, which is plain from its keys when it has a token.
fn implied_type(path: &KeyPath, report: &mut Report<'_>) -> Option<SecretType> {
    let document = report.document;
    let has = |key: &str| document.has(&path.key(key));
    if has("token") || has("tokenFile") {
        return Some(SecretType::Opaque);
    }
    if has("mountPath") || has("username") {
        report.missing(path.key("type"), SecretType::ALLOWED);
        return None;
    }
    if has("name") || has("key") {
        let remark = "has neither a type nor a token: requests are anonymous";
        report.warn(path, remark);
    }
    Some(SecretType::None)
}

fn opaque(secret: model::Secret, path: &KeyPath, report: &mut Report<'_>) -> Option<Secret> {
    let (inline, file) = (path.key("token"), path.key("tokenFile"));
    let username = secret.username.map(|Valid(Username(name))| name);
    if report.document.replacement(&path.key("username")) == Some("") {
        report.invalid(path.key("username"), Username::ALLOWED);
    }
    let token = match (secret.token, secret.token_file) {
        (Some(Valid(token)), None) => TokenSource::Inline(token),
        (None, Some(Valid(token))) => {
            report.checked(&file, files::token_file(&token))?;
            TokenSource::File(token)
        }
        (Some(_), Some(_)) => {
            let other = "tokenFile";
            report.mistake(inline, Mistake::Exclusive { other });
            return None;
        }
        (None, None) => {
            if !report.document.has(&file) {
                report.missing(inline, "a token, or tokenFile with the path of one");
            }
            return None;
        }
    };
    Some(Secret::Opaque {
        username: username.filter(|name| !name.is_empty()),
        token,
    })
}
