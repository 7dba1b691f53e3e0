//! The registries of a configuration: which hosts they are, and how to ask them.

use std::{fmt, num::NonZeroUsize, path::PathBuf};

use kube_autorollout_registry::{Endpoint, HostPattern};

use super::{
    files::{self, CaFile},
    node::Node,
    problem::Mistake,
    reader::Reader,
};

/// More requests at once would hurt a registry; as many as this never help.
const MAX_REQUESTS: usize = 1000;

const PATTERN: &str =
    "a glob over host or host:port without a scheme or path, such as ghcr.io or *.example.com";
const ENDPOINT: &str =
    "an http or https URL with an optional port and path, such as https://harbor.corp/docker-hub";
const TYPES: &str = "ImagePullSecret, Opaque or None";
const TOKEN: &str = "a text that is not empty";
const REQUESTS: &str = "a whole number from 1 to 1000";

/// How to talk to the registries that a pattern covers. The first entry whose pattern matches a host is the host's.
#[derive(Debug, Clone)]
pub(crate) struct RegistryEntry {
    /// The hosts.
    pub(crate) pattern: HostPattern,
    /// Asked in the place of the hosts.
    pub(crate) endpoint: Option<Endpoint>,
    /// What to log in with when the pods' own credentials do not suffice.
    pub(crate) secret: Secret,
    /// Trusted for these hosts besides all others.
    pub(crate) ca_certificates: Vec<CaFile>,
    /// Whether to speak HTTP without TLS.
    pub(crate) plain_http: bool,
    /// The most requests in flight to one host; the client's own default when absent.
    pub(crate) max_concurrent_requests: Option<NonZeroUsize>,
}

/// A credential of the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::enum_variant_names, reason = "the file's own word")]
pub(crate) enum Secret {
    /// Anonymous.
    None,
    /// A mounted Secret of type `kubernetes.io/dockerconfigjson`.
    ImagePullSecret {
        /// The folder that holds `.dockerconfigjson`.
        mount_path: PathBuf,
    },
    /// A token: the password of `username`, or without one sent as Bearer.
    Opaque {
        /// Whose password the token is.
        username: Option<String>,
        /// The token.
        token: TokenSource,
    },
}

/// Where a token is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TokenSource {
    /// In the configuration itself.
    Inline(SecretText),
    /// In a file, to be read again when it changes; a newline at its end is not part of the token.
    File(PathBuf),
}

/// A text that no log may show.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct SecretText(String);

impl SecretText {
    /// The text itself, for the one who sends it.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("[redacted]")
    }
}

/// Reads `registries`.
pub(super) fn read(reader: &mut Reader<'_>, node: &Node<'_>) -> Option<Vec<RegistryEntry>> {
    reader.each(node, entry)
}

fn entry(reader: &mut Reader<'_>, node: &Node<'_>) -> Option<RegistryEntry> {
    if !node.is_mapping() {
        return None; // the check of the keys has told so
    }
    let pattern = if let Some(node) = node.get("hostnamePattern") {
        reader.choose(&node, PATTERN, |text| text.parse().ok())
    } else {
        reader.missing(node, "hostnamePattern", PATTERN);
        None
    };
    let endpoint = match node.get("endpoint") {
        Some(node) => endpoint(reader, &node).map(Some),
        None => Some(None),
    };
    let secret = match node.get("secret") {
        Some(node) => secret(reader, &node),
        None => Some(Secret::None),
    };
    let ca_certificates = match node.get("caCertificatePaths") {
        Some(node) => files::certificates(reader, &node),
        None => Some(Vec::new()),
    };
    let plain_http = match node.get("plainHttp") {
        Some(node) => reader.flag(&node),
        None => Some(false),
    };
    if let (Some(plain), Some(_)) = (node.get("plainHttp"), node.get("endpoint")) {
        reader.warn(&plain, "has no effect beside endpoint, whose scheme counts");
    }
    let max_concurrent_requests = match node.get("maxConcurrentRequests") {
        Some(node) => reader.number(&node, REQUESTS, requests).map(Some),
        None => Some(None),
    };
    Some(RegistryEntry {
        pattern: pattern?,
        endpoint: endpoint?,
        secret: secret?,
        ca_certificates: ca_certificates?,
        plain_http: plain_http?,
        max_concurrent_requests: max_concurrent_requests?,
    })
}

/// What was found is not repeated: it may hold a password.
fn endpoint(reader: &mut Reader<'_>, node: &Node<'_>) -> Option<Endpoint> {
    let endpoint = reader.text(node, ENDPOINT)?.parse::<Endpoint>();
    endpoint
        .map_err(|error| {
            let (found, allowed) = (error.to_string(), ENDPOINT);
            reader.mistake(node, Mistake::Invalid { found, allowed });
        })
        .ok()
}

fn requests(number: u64) -> Option<NonZeroUsize> {
    let number = usize::try_from(number).ok()?;
    NonZeroUsize::new(number).filter(|number| number.get() <= MAX_REQUESTS)
}

/// The types that a secret may have.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Type {
    ImagePullSecret,
    Opaque,
    None,
}

impl Type {
    fn parse(text: &str) -> Option<Self> {
        match text {
            "ImagePullSecret" => Some(Self::ImagePullSecret),
            "Opaque" => Some(Self::Opaque),
            "None" => Some(Self::None),
            _ => None,
        }
    }

    /// The keys that a secret of this type reads.
    fn keys(self) -> &'static [&'static str] {
        match self {
            Self::ImagePullSecret => &["mountPath"],
            Self::Opaque => &["username", "token", "tokenFile"],
            Self::None => &[],
        }
    }
}

fn secret(reader: &mut Reader<'_>, node: &Node<'_>) -> Option<Secret> {
    let kind = type_of(reader, node)?;
    for key in ["mountPath", "username", "token", "tokenFile"] {
        if let Some(unused) = node.get(key).filter(|_| !kind.keys().contains(&key)) {
            reader.warn(&unused, "has no effect with this type of secret");
        }
    }
    match kind {
        Type::None => Some(Secret::None),
        Type::Opaque => opaque(reader, node),
        Type::ImagePullSecret => {
            let Some(mount_path) = node.get("mountPath") else {
                reader.missing(node, "mountPath", "the folder of a mounted Secret");
                return None;
            };
            let mount_path = files::docker_configuration(reader, &mount_path)?;
            Some(Secret::ImagePullSecret { mount_path })
        }
    }
}

/// The type of a secret, which is plain from its keys when it has a token.
fn type_of(reader: &mut Reader<'_>, node: &Node<'_>) -> Option<Type> {
    let has = |key: &str| node.get(key).is_some();
    if let Some(node) = node.get("type") {
        return reader.choose(&node, TYPES, Type::parse);
    }
    if has("token") || has("tokenFile") {
        return Some(Type::Opaque);
    }
    if has("mountPath") || has("username") {
        reader.missing(node, "type", TYPES);
        return None;
    }
    if has("name") || has("key") {
        reader.warn(
            node,
            "has neither a type nor a token: requests are anonymous",
        );
    }
    Some(Type::None)
}

fn opaque(reader: &mut Reader<'_>, node: &Node<'_>) -> Option<Secret> {
    let username = match node.get("username") {
        // Charts write an unset name so.
        Some(node) if !node.is_empty_text() => reader.text(&node, "a name").map(Some),
        _ => Some(None),
    };
    let token = match (node.get("token"), node.get("tokenFile")) {
        (Some(token), None) => reader
            .secret(&token, TOKEN)
            .map(|token| TokenSource::Inline(SecretText(token))),
        (None, Some(file)) => files::token_file(reader, &file).map(TokenSource::File),
        (Some(token), Some(_)) => {
            let other = "tokenFile";
            reader.mistake(&token, Mistake::Exclusive { other });
            None
        }
        (None, None) => {
            reader.missing(node, "token", "a token, or tokenFile with the path of one");
            None
        }
    };
    Some(Secret::Opaque {
        username: username?,
        token: token?,
    })
}
