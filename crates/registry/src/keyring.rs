//! The credentials of pull Secrets, found for an image exactly as the kubelet finds them.
//!
//! The rules are those of `pkg/credentialprovider/keyring.go` in
//! [kubernetes/kubernetes](https://github.com/kubernetes/kubernetes/blob/master/pkg/credentialprovider/keyring.go), so that we ask a
//! registry with what the nodes will pull with.

mod docker_config;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use glob::Pattern;

pub use docker_config::DockerConfigError;

use crate::{Credential, Reference};

/// Under this key credentials for Docker Hub are found when no other key matches.
const DEFAULT_REGISTRY: &str = "index.docker.io";

/// Credentials under the keys of Docker configurations: `host[:port][/path]`, with globs in the labels of the host.
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
    /// Under one key, in the order in which they were added.
    credentials: BTreeMap<String, Vec<Credential>>,
}

impl Keyring {
    /// Adds a document of the kind `kubernetes.io/dockerconfigjson`: `{"auths": {key: entry}}`.
    ///
    /// # Errors
    ///
    /// [`DockerConfigError`] when any part of it is malformed; then nothing is added.
    pub fn add_config_json(&mut self, json: &[u8]) -> Result<(), DockerConfigError> {
        self.add(docker_config::config_json(json)?);
        Ok(())
    }

    /// Adds a document of the older kind `kubernetes.io/dockercfg`: `{key: entry}`.
    ///
    /// # Errors
    ///
    /// [`DockerConfigError`] when any part of it is malformed; then nothing is added.
    pub fn add_dockercfg(&mut self, json: &[u8]) -> Result<(), DockerConfigError> {
        self.add(docker_config::dockercfg(json)?);
        Ok(())
    }

    /// Everything that another keyring holds, after what this one holds.
    pub fn extend(&mut self, other: &Self) {
        for (key, credentials) in &other.credentials {
            let known = self.credentials.entry(key.clone()).or_default();
            known.extend(credentials.iter().cloned());
        }
    }

    /// The credentials for an image, in the order in which the kubelet tries them: longer keys before shorter ones that
    /// they begin with, names before globs.
    pub fn lookup(&self, reference: &Reference) -> Vec<Credential> {
        let registry = reference.registry();
        let image = Place::of(registry, reference.repository());
        let matching = self
            .credentials
            .iter()
            .rev()
            .filter(|(key, _)| image.is_matched_by(key));
        let found: Vec<_> = matching
            .flat_map(|(_, credentials)| credentials.iter().cloned())
            .collect();
        if found.is_empty() && matches!(registry, "docker.io" | DEFAULT_REGISTRY) {
            return self
                .credentials
                .get(DEFAULT_REGISTRY)
                .cloned()
                .unwrap_or_default();
        }
        found
    }

    /// The credentials of the only key, if there is exactly one.
    pub fn only(&self) -> Option<&[Credential]> {
        let mut all = self.credentials.values();
        let first = all.next()?;
        all.next().is_none().then_some(first)
    }

    fn add(&mut self, entries: Vec<(String, Option<Credential>)>) {
        for (key, credential) in entries {
            let known = self.credentials.entry(normalized(&key)).or_default();
            known.extend(credential);
        }
    }
}

/// A key without its scheme, and without the path that stands for an API version.
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

/// A place that images are pulled from, taken apart as keys are compared.
struct Place<'a> {
    labels: Vec<&'a str>,
    port: Option<&'a str>,
    path: String,
}

impl<'a> Place<'a> {
    fn of(registry: &'a str, repository: &str) -> Self {
        let (labels, port) = host(registry);
        Self {
            labels,
            port,
            path: format!("/{repository}"),
        }
    }

    /// Ports are equal, each label matches its glob, and the path begins with the key's, wherever that ends.
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
    (name.split('.').collect(), port)
}
