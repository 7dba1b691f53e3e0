//! The entries of `registries`, and what their keys mean together.

use kube_autorollout_registry::HostPattern;

mod cloud;

use self::cloud::{Asked, cloud_identity};
use super::{
    super::{
        document::Document,
        files,
        model::{self, List, Section, entries},
        problem::{KeyPath, exclusive},
        registries::{RegistryEntry, Secret, TokenSource},
        scalar::{Scalar, Valid},
        values::{SecretType, Username},
    },
    certificates,
};

/// Makes the entries that can be used.
pub(super) fn registries(
    list: List<Section<model::Registry>>,
    path: &KeyPath,
    document: &mut Document,
) -> Vec<RegistryEntry> {
    entries(list, path)
        .filter_map(|(path, Section(entry))| registry(entry, &path, document))
        .collect()
}

fn registry(
    entry: model::Registry,
    path: &KeyPath,
    document: &mut Document,
) -> Option<RegistryEntry> {
    document.missing(path.key("hostnamePattern"), HostPattern::ALLOWED);
    if entry.endpoint.is_some() && entry.plain_http.is_some() {
        let remark = "is ignored, because the scheme of endpoint applies";
        document.warn(&path.key("plainHttp"), remark);
    }
    let is_cloud = |secret: &Section<model::Secret>| {
        let kind = secret.0.r#type.as_ref();
        kind.is_some_and(|kind| kind.0 == SecretType::CloudIdentity)
    };
    let asked = Asked {
        pattern: entry.hostname_pattern.as_ref().map(|pattern| &pattern.0),
        endpoint: entry.endpoint.as_ref().map(|endpoint| &endpoint.0),
    };
    if entry.secret.as_ref().is_some_and(is_cloud) && asked.is_plain(entry.plain_http.as_ref()) {
        let remark = "the cloud's token is sent to this registry without TLS";
        document.warn(path, remark);
    }
    let secret = entry.secret.map_or(Some(Secret::None), |Section(written)| {
        secret(written, asked, &path.key("secret"), document)
    });
    let authorities = path.key("caCertificatePaths");
    let ca_certificates = certificates(
        entry.ca_certificate_paths.unwrap_or_default(),
        &authorities,
        document,
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
        SecretType::CloudIdentity => &["cloud", "region", "roleArn"],
        SecretType::None => &[],
    }
}

/// The keys that some type reads.
const KEYS: [&str; 7] = [
    "mountPath",
    "username",
    "token",
    "tokenFile",
    "cloud",
    "region",
    "roleArn",
];

fn secret(
    secret: model::Secret,
    asked: Asked<'_>,
    path: &KeyPath,
    document: &mut Document,
) -> Option<Secret> {
    let kind = match &secret.r#type {
        Some(kind) => kind.0,
        None => implied_type(path, document)?,
    };
    for key in KEYS {
        let unused = path.key(key);
        if document.has(&unused) && !keys(kind).contains(&key) {
            document.warn(&unused, "is ignored for this type of secret");
        }
    }
    match kind {
        SecretType::None => Some(Secret::None),
        SecretType::Opaque => opaque(secret, path, document),
        SecretType::CloudIdentity => cloud_identity(secret, asked, path, document),
        SecretType::ImagePullSecret => {
            let path = path.key("mountPath");
            document.missing(path.clone(), "the mount path of a Secret");
            let Valid(mount_path) = secret.mount_path?;
            document.checked(&path, files::docker_configuration(&mount_path))?;
            Some(Secret::ImagePullSecret { mount_path })
        }
    }
}

/// The type of a secret, which is plain from its keys when it has a token.
fn implied_type(path: &KeyPath, document: &mut Document) -> Option<SecretType> {
    let has = |document: &Document, key: &str| document.has(&path.key(key));
    if has(document, "token") || has(document, "tokenFile") {
        return Some(SecretType::Opaque);
    }
    let typed = ["mountPath", "username", "cloud", "region", "roleArn"];
    if typed.into_iter().any(|key| has(document, key)) {
        document.missing(path.key("type"), SecretType::ALLOWED);
        return None;
    }
    if has(document, "name") || has(document, "key") {
        let remark = "has neither a type nor a token: requests are anonymous";
        document.warn(path, remark);
    }
    Some(SecretType::None)
}

fn opaque(secret: model::Secret, path: &KeyPath, document: &mut Document) -> Option<Secret> {
    let (inline, file) = (path.key("token"), path.key("tokenFile"));
    let username = secret.username.map(|Valid(Username(name))| name);
    if document.replacement(&path.key("username")) == Some("") {
        document.invalid(path.key("username"), Username::ALLOWED);
    }
    let token = match (secret.token, secret.token_file) {
        (Some(Valid(token)), None) => TokenSource::Inline(token),
        (None, Some(Valid(token))) => {
            document.checked(&file, files::token_file(&token))?;
            TokenSource::File(token)
        }
        (Some(_), Some(_)) => {
            document.mistake(inline, exclusive("tokenFile"));
            return None;
        }
        (None, None) => {
            if !document.has(&file) {
                document.missing(inline, "a token, or tokenFile with the path of one");
            }
            return None;
        }
    };
    Some(Secret::Opaque {
        username: username.filter(|name| !name.is_empty()),
        token,
    })
}
