//! Credentials of pull Secrets, selected for an image exactly as by the kubelet.
//!
//! The rules are those of `pkg/credentialprovider/keyring.go` in
//! [kubernetes/kubernetes](https://github.com/kubernetes/kubernetes/blob/master/pkg/credentialprovider/keyring.go), so that
//! requests carry the credentials that the nodes pull with.

mod docker_config;

#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, net::Ipv6Addr};

use glob::Pattern;
use oci_spec::distribution::Reference;

use crate::credential::Credential;
use docker_config::DockerConfig;
pub use docker_config::{DockerConfigError, MissingCredential};

/// The key of credentials for Docker Hub if no other key matches.
const DEFAULT_REGISTRY: &str = "index.docker.io";

/// Credentials by the keys of Docker configurations: `host[:port][/path]`, with globs in the labels of the host.
///
/// ```
/// use kube_autorollout_registry::Keyring;
///
/// let mut keyring = Keyring::default();
/// keyring.add_config_json(br#"{"auths": {"*.example.com/team": {"username": "robot", "password": "secret"}}}"#)?;
/// assert_eq!(keyring.lookup(&"registry.example.com/team/app".parse()?).len(), 1);
/// assert_eq!(keyring.lookup(&"registry.example.com/other/app".parse()?).len(), 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Keyring {
    /// By key, in the order in which they were added.
    credentials: BTreeMap<String, Vec<Credential>>,
    /// Entries without credentials; the first of each key.
    missing: BTreeMap<String, MissingCredential>,
    /// The first helper for all registries.
    store: Option<MissingCredential>,
}

impl Keyring {
    /// Adds a document of type `kubernetes.io/dockerconfigjson`: `{"auths": {key: entry}}`.
    ///
    /// # Errors
    ///
    /// [`DockerConfigError`] if any part of it is malformed; nothing is added.
    pub fn add_config_json(&mut self, json: &[u8]) -> Result<(), DockerConfigError> {
        self.add(docker_config::config_json(json)?);
        Ok(())
    }

    /// Adds a document of the older type `kubernetes.io/dockercfg`: `{key: entry}`.
    ///
    /// # Errors
    ///
    /// [`DockerConfigError`] if any part of it is malformed; nothing is added.
    pub fn add_dockercfg(&mut self, json: &[u8]) -> Result<(), DockerConfigError> {
        self.add(docker_config::dockercfg(json)?);
        Ok(())
    }

    /// Appends the entries of another keyring.
    pub fn extend(&mut self, other: &Self) {
        for (key, credentials) in &other.credentials {
            let known = self.credentials.entry(key.clone()).or_default();
            known.extend(credentials.iter().cloned());
        }
        for (key, missing) in &other.missing {
            let known = self.missing.entry(key.clone());
            known.or_insert_with(|| missing.clone());
        }
        self.store = self.store.take().or_else(|| other.store.clone());
    }

    /// The credentials for an image, in the order of the kubelet: longer keys before their prefixes, names before globs.
    pub fn lookup(&self, reference: &Reference) -> Vec<Credential> {
        let found: Vec<_> = matching(&self.credentials, reference)
            .flat_map(|credentials| credentials.iter().cloned())
            .collect();
        if found.is_empty() && is_docker_hub(reference) {
            let default = self.credentials.get(DEFAULT_REGISTRY);
            return default.cloned().unwrap_or_default();
        }
        found
    }

    /// Why there is no credential for an image; none if [`Keyring::lookup`] finds one or no document names the registry.
    pub fn missing(&self, reference: &Reference) -> Option<&MissingCredential> {
        if !self.lookup(reference).is_empty() {
            return None;
        }
        let default = || self.missing.get(DEFAULT_REGISTRY);
        let entry = matching(&self.missing, reference)
            .next()
            .or_else(|| is_docker_hub(reference).then(default).flatten());
        match (entry, &self.store) {
            // A configuration with a store has an empty entry for each registry in the store.
            (None | Some(MissingCredential::Empty { .. }), Some(store)) => Some(store),
            (entry, _) => entry,
        }
    }

    /// The credentials of the only entry, if there is exactly one.
    pub fn only(&self) -> Option<&[Credential]> {
        let mut all = self.credentials.iter();
        let (only, credentials) = all.next()?;
        // Those of a helper are not entries.
        let mut entries = self
            .missing
            .iter()
            .filter(|(_, missing)| !matches!(missing, MissingCredential::Helper { .. }));
        (all.next().is_none() && entries.all(|(key, _)| key == only)).then_some(credentials)
    }

    fn add(&mut self, config: DockerConfig) {
        for (key, found) in config.entries {
            let key = normalized(&key);
            match found {
                Ok(credential) => self.credentials.entry(key).or_default().push(credential),
                Err(missing) => {
                    self.missing.entry(key).or_insert(missing);
                }
            }
        }
        let store = config.store.map(|name| MissingCredential::Helper { name });
        self.store = self.store.take().or(store);
    }
}

/// The values of the keys that match an image: longer keys before their prefixes.
fn matching<'a, T>(
    keys: &'a BTreeMap<String, T>,
    reference: &Reference,
) -> impl Iterator<Item = &'a T> {
    let target = Target::of(reference.registry(), reference.repository());
    let keys = keys.iter().rev();
    keys.filter(move |(key, _)| target.is_matched_by(key))
        .map(|(_, found)| found)
}

fn is_docker_hub(reference: &Reference) -> bool {
    matches!(reference.registry(), "docker.io" | DEFAULT_REGISTRY)
}

/// A key without its scheme and API version.
fn normalized(key: &str) -> String {
    let bare = key
        .strip_prefix("https://")
        .or_else(|| key.strip_prefix("http://"))
        .unwrap_or(key);
    let bare = bare.split(['?', '#']).next().unwrap_or_default();
    let (host, path) = bare
        .find('/')
        .map_or((bare, ""), |slash| bare.split_at(slash));
    let versioned = path.starts_with("/v1/") || path.starts_with("/v2/");
    let path = if versioned {
        path.get(3..).unwrap_or_default()
    } else {
        path
    };
    match path {
        "/" => host.to_owned(),
        path => format!("{host}{path}"),
    }
}

/// A repository, split for the comparison with keys.
struct Target<'a> {
    labels: Vec<&'a str>,
    port: Option<&'a str>,
    path: String,
}

impl<'a> Target<'a> {
    fn of(registry: &'a str, repository: &str) -> Self {
        let (labels, port) = host(registry);
        Self {
            labels,
            port,
            path: format!("/{repository}"),
        }
    }

    /// Ports are equal, each label matches its glob, and the path starts with the key's, even within a component.
    fn is_matched_by(&self, key: &str) -> bool {
        let (registry, path) = key.find('/').map_or((key, ""), |slash| key.split_at(slash));
        let (labels, port) = host(registry);
        let same_length = labels.len() == self.labels.len();
        let mut pairs = labels.iter().zip(&self.labels);
        port == self.port
            && same_length
            && self.path.starts_with(path)
            // A malformed glob matches nothing, as for the kubelet.
            && pairs.all(|(glob, label)| Pattern::new(glob).is_ok_and(|glob| glob.matches(label)))
    }
}

/// The dot-separated labels of a host, and its port.
fn host(registry: &str) -> (Vec<&str>, Option<&str>) {
    let (name, port) = match registry.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => (name, Some(port)),
        _ => (registry, None),
    };
    // The brackets of an IPv6 address are literal.
    let address = name
        .strip_prefix('[')
        .and_then(|name| name.strip_suffix(']'));
    let address = address.filter(|address| address.parse::<Ipv6Addr>().is_ok());
    (address.unwrap_or(name).split('.').collect(), port)
}
