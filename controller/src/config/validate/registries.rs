//! The entries of `registries`.

mod cloud;

use kube_autorollout_registry::HostPattern;

use self::cloud::{Hosts, cloud_identity};
use super::{
    super::{
        document::Document,
        files,
        model::{self, List, Section, entries},
        problem::{KeyPath, exclusive},
        scalar::{Scalar as _, Valid, value},
        settings::{RegistryEntry, Secret, TokenSource},
        values::{SecretType, Username},
    },
    certificates,
};

/// The keys that each type of a secret uses.
const KEYS: [(SecretType, &[&str]); 3] = [
    (SecretType::ImagePullSecret, &["mountPath"]),
    (SecretType::Opaque, &["username", "token", "tokenFile"]),
    (SecretType::CloudIdentity, &["cloud", "region", "roleArn"]),
];

/// The valid entries.
pub(super) fn registries(
    list: List<Section<model::Registry>>,
    document: &mut Document,
) -> Vec<RegistryEntry> {
    entries(list, &KeyPath::dotted("registries"))
        .filter_map(|(path, Section(entry))| registry(entry, &path, document))
        .collect()
}

fn registry(
    entry: model::Registry,
    path: &KeyPath,
    document: &mut Document,
) -> Option<RegistryEntry> {
    document.require(path.key("hostnamePattern"), HostPattern::ALLOWED);
    let (pattern, endpoint) = (value(entry.hostname_pattern), value(entry.endpoint));
    let plain_http = value(entry.plain_http);
    if endpoint.is_some() && plain_http.is_some() {
        let warning = "is ignored, because the scheme of endpoint applies";
        document.warn(&path.key("plainHttp"), warning);
    }
    let plain_http = plain_http.unwrap_or_default();
    let is_plain = endpoint.as_ref().map_or(plain_http, |endpoint| {
        endpoint.origin().starts_with("http:")
    });
    let hosts = Hosts::new(pattern.as_ref(), endpoint.as_ref());
    let secret = entry.secret.map_or(Some(Secret::None), |Section(written)| {
        secret(written, &hosts, &path.key("secret"), document)
    });
    if is_plain && matches!(secret, Some(Secret::CloudIdentity { .. })) {
        let warning = "the cloud's token is sent to this registry without TLS";
        document.warn(path, warning);
    }
    let authorities = path.key("caCertificatePaths");
    let files = entry.ca_certificate_paths.unwrap_or_default();
    let ca_certificates = certificates(files, &authorities, document);
    Some(RegistryEntry {
        pattern: pattern?,
        endpoint,
        secret: secret?,
        ca_certificates,
        plain_http,
        max_concurrent_requests: value(entry.max_concurrent_requests),
    })
}

fn secret(
    secret: model::Secret,
    hosts: &Hosts,
    path: &KeyPath,
    document: &mut Document,
) -> Option<Secret> {
    let kind = match &secret.r#type {
        Some(kind) => kind.0,
        None => implied_type(path, document)?,
    };
    let others = KEYS.into_iter().filter(|(other, _)| *other != kind);
    for key in others.flat_map(|(_, keys)| keys) {
        let unused = path.key(key);
        if document.has(&unused) {
            document.warn(&unused, "is ignored for this type of secret");
        }
    }
    match kind {
        SecretType::None => Some(Secret::None),
        SecretType::Opaque => opaque(secret, path, document),
        SecretType::CloudIdentity => cloud_identity(secret, hosts, path, document),
        SecretType::ImagePullSecret => {
            let path = path.key("mountPath");
            document.require(path.clone(), "the mount path of a Secret");
            let Valid(mount_path) = secret.mount_path?;
            document.check(&path, files::docker_configuration(&mount_path))?;
            Some(Secret::ImagePullSecret { mount_path })
        }
    }
}

/// The type of a secret without one: `Opaque` if it has a token.
fn implied_type(path: &KeyPath, document: &mut Document) -> Option<SecretType> {
    let has_any = |document: &Document, keys: &[&str]| {
        let mut keys = keys.iter();
        keys.any(|key| document.has(&path.key(key)))
    };
    if has_any(document, &["token", "tokenFile"]) {
        return Some(SecretType::Opaque);
    }
    if KEYS.iter().any(|(_, keys)| has_any(document, keys)) {
        document.require(path.key("type"), SecretType::ALLOWED);
        return None;
    }
    if has_any(document, &["name", "key"]) {
        let warning = "has neither a type nor a token: requests are anonymous";
        document.warn(path, warning);
    }
    Some(SecretType::None)
}

fn opaque(secret: model::Secret, path: &KeyPath, document: &mut Document) -> Option<Secret> {
    let (inline, file) = (path.key("token"), path.key("tokenFile"));
    if document.expanded(&path.key("username")) == Some("") {
        document.invalid(path.key("username"), Username::ALLOWED);
    }
    let token = match (secret.token, secret.token_file) {
        (Some(Valid(token)), None) => TokenSource::Inline(token),
        (None, Some(Valid(token))) => {
            document.check(&file, files::token_file(&token))?;
            TokenSource::File(token)
        }
        (Some(_), Some(_)) => {
            document.problem(inline, exclusive("tokenFile"));
            return None;
        }
        (None, None) => {
            if !document.has(&file) {
                document.require(inline, "a token, or tokenFile with the path of one");
            }
            return None;
        }
    };
    let username = value(secret.username).map(|Username(name)| name);
    Some(Secret::Opaque {
        username: username.filter(|name| !name.is_empty()),
        token,
    })
}
