//! Credentials of the configuration. Files are read at each use, so that rotated credentials are used at the next check.

use std::{borrow::Cow, fs, path::Path, sync::Arc};

use kube_autorollout_cloud::Identities;
use kube_autorollout_core::Reference;
use kube_autorollout_registry::{
    Credential, CredentialChain, CredentialProvider, Keyring, MissingCredential,
};

use super::{Problems, cloud};
use crate::config::{RegistryEntry, Secret, TokenSource};

/// The file of a mounted Secret of type `kubernetes.io/dockerconfigjson`.
const DOCKER_CONFIG: &str = ".dockerconfigjson";

/// The configured credentials of all registries.
#[derive(Debug)]
pub(crate) struct Configured {
    entries: Vec<RegistryEntry>,
    /// The controller's cloud identities, if an entry needs them.
    identities: Option<Identities>,
    problems: Problems,
}

impl Configured {
    /// The first matching entry counts for a registry.
    pub(crate) fn new(registries: &[RegistryEntry], identities: Option<Identities>) -> Self {
        Self {
            entries: registries.to_vec(),
            identities,
            problems: Problems::default(),
        }
    }

    /// The credentials for an image, in the order in which they are tried: those of pull Secrets, then the configured ones.
    pub(crate) fn chain(
        &self,
        from_secrets: Vec<Credential>,
        reference: &Reference,
    ) -> CredentialChain {
        let provider = |credential| Arc::new(credential) as Arc<dyn CredentialProvider>;
        let configured = self.credentials(reference);
        let credentials = from_secrets.into_iter().chain(configured).map(provider);
        credentials.chain(self.identity(reference)).collect()
    }

    /// The credentials that a cloud issues for the registry of an image.
    fn identity(&self, reference: &Reference) -> Option<Arc<dyn CredentialProvider>> {
        let (identities, entry) = (self.identities.as_ref()?, self.entry(reference)?);
        let provided = cloud::provider(identities, entry, reference);
        provided.unwrap_or_else(|problem| {
            let source = format!("the cloud of {}", reference.registry());
            self.problems.note(&source, Some(problem));
            None
        })
    }

    /// The reference at the endpoint of its registry, if there is one. Credentials are looked up for this reference.
    pub(crate) fn at_endpoint<'r>(&self, reference: &'r Reference) -> Cow<'r, Reference> {
        let endpoint = self
            .entry(reference)
            .and_then(|entry| entry.endpoint.as_ref());
        endpoint.map_or(Cow::Borrowed(reference), |endpoint| {
            Cow::Owned(endpoint.locate(reference))
        })
    }

    /// Drops old problems.
    pub(super) fn tidy(&self) {
        self.problems.tidy();
    }

    /// The credentials for the registry of an image in files and in the configuration itself.
    fn credentials(&self, reference: &Reference) -> Vec<Credential> {
        let Some(entry) = self.entry(reference) else {
            return Vec::new();
        };
        match &entry.secret {
            Secret::None | Secret::CloudIdentity { .. } => Vec::new(),
            Secret::ImagePullSecret { mount_path } => {
                self.mounted(&mount_path.join(DOCKER_CONFIG), entry, reference)
            }
            Secret::Opaque { username, token } => {
                let credential = opaque(username.as_deref(), token, &self.problems);
                credential.into_iter().collect()
            }
        }
    }

    /// Why a mounted file has no credentials for an image although it names its registry.
    pub(crate) fn missing(&self, reference: &Reference) -> Option<MissingCredential> {
        let Secret::ImagePullSecret { mount_path } = &self.entry(reference)?.secret else {
            return None;
        };
        let keyring = keyring(&mount_path.join(DOCKER_CONFIG)).ok()?;
        keyring.missing(&self.at_endpoint(reference)).cloned()
    }

    /// The entries that the kubelet would use. If there are none, the only entry of the file, provided that the pattern names
    /// the registry literally: with a wildcard, credentials would be sent to hosts that nobody has configured.
    fn mounted(
        &self,
        path: &Path,
        entry: &RegistryEntry,
        reference: &Reference,
    ) -> Vec<Credential> {
        let Some(keyring) = usable(path, keyring(path), &self.problems) else {
            return Vec::new();
        };
        let located = self.at_endpoint(reference);
        let found = keyring.lookup(&located);
        let only = keyring.only().filter(|_| found.is_empty());
        let (file, host) = (path.display(), located.registry());
        let (used, problem) = match only {
            None => (found, None),
            Some(only) if entry.pattern.is_literal() => {
                let problem = format!("the only entry of {file} is not for {host}, but is used");
                (only.to_vec(), Some(problem))
            }
            Some(_) => {
                let registry = reference.registry();
                let problem = format!(
                    "the only entry of {file} is not for {host}, and is not used, as hostnamePattern {} has a wildcard: add {host} \
                     to the file, or an entry with hostnamePattern {registry} before it",
                    entry.pattern
                );
                (Vec::new(), Some(problem))
            }
        };
        self.problems.note(&format!("{file} for {host}"), problem);
        used
    }

    fn entry(&self, reference: &Reference) -> Option<&RegistryEntry> {
        let mut entries = self.entries.iter();
        entries.find(|entry| entry.pattern.matches(reference.registry()))
    }
}

/// Parses a mounted file.
fn keyring(path: &Path) -> Result<Keyring, String> {
    let text = text(path)?;
    let mut keyring = Keyring::default();
    let added = keyring.add_config_json(text.as_bytes());
    added.map_err(|error| format!("{} is not used: {error}", path.display()))?;
    Ok(keyring)
}

fn opaque(username: Option<&str>, token: &TokenSource, problems: &Problems) -> Option<Credential> {
    let token = match token {
        TokenSource::Inline(token) => token.expose().to_owned(),
        TokenSource::File(path) => {
            let text = usable(path, text(path), problems)?;
            text.trim_end_matches(['\r', '\n']).to_owned()
        }
    };
    Some(match username {
        Some(username) => Credential::password(username, token),
        None => Credential::bearer(token),
    })
}

/// Reads a file, or returns the problem.
fn text(path: &Path) -> Result<String, String> {
    fs::read_to_string(path).map_err(|error| format!("cannot read {}: {error}", path.display()))
}

/// Notes the problem of a file, if there is one; it is read again at its next use.
fn usable<T>(path: &Path, read: Result<T, String>, problems: &Problems) -> Option<T> {
    let problem = read.as_ref().err().cloned();
    problems.note(&path.display().to_string(), problem);
    read.ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn configured(secret: Secret) -> Configured {
        entry("*", None, secret)
    }

    fn entry(pattern: &str, endpoint: Option<&str>, secret: Secret) -> Configured {
        Configured {
            entries: vec![RegistryEntry {
                pattern: pattern.parse().expect("a pattern"),
                endpoint: endpoint.map(|endpoint| endpoint.parse().expect("an endpoint")),
                secret,
                ca_certificates: Vec::new(),
                plain_http: false,
                max_concurrent_requests: None,
            }],
            identities: None,
            problems: Problems::default(),
        }
    }

    fn found(configured: &Configured, image: &str) -> Vec<Credential> {
        configured.credentials(&image.parse().expect("a reference"))
    }

    #[test]
    fn a_token_file_is_read_again_when_it_changes() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("token");
        let secret = |username: Option<&str>| Secret::Opaque {
            username: username.map(str::to_owned),
            token: TokenSource::File(path.clone()),
        };
        fs::write(&path, "first\n").expect("a file");
        let bearer = configured(secret(None));
        assert_eq!(found(&bearer, "a.io/b"), [Credential::bearer("first")]);
        fs::write(&path, "second").expect("a file");
        assert_eq!(found(&bearer, "a.io/b"), [Credential::bearer("second")]);
        let basic = configured(secret(Some("robot")));
        assert_eq!(
            found(&basic, "a.io/b"),
            [Credential::password("robot", "second")]
        );
        fs::remove_file(&path).expect("it was there");
        assert_eq!(found(&basic, "a.io/b"), []);
    }

    /// A folder with a Docker configuration.
    fn folder(text: &str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join(DOCKER_CONFIG), text).expect("a file");
        folder
    }

    fn pull_secret(folder: &tempfile::TempDir) -> Secret {
        Secret::ImagePullSecret {
            mount_path: folder.path().to_owned(),
        }
    }

    const ONE: &str = r#"{"auths": {"a.io": {"username": "a", "password": "p"}}}"#;

    const TWO: &str = r#"{"auths": {"a.io": {"username": "a", "password": "p"}, "b.io": {"username": "b", "password": "p"}}}"#;

    #[test]
    fn a_mounted_file_is_used_as_by_the_kubelet() {
        let a = Credential::password("a", "p");
        for text in [ONE, TWO] {
            let folder = folder(text);
            let configured = configured(pull_secret(&folder));
            assert_eq!(found(&configured, "a.io/x"), std::slice::from_ref(&a));
            assert_eq!(found(&configured, "other.io/x"), []);
        }
        let malformed = folder("{");
        assert_eq!(found(&configured(pull_secret(&malformed)), "a.io/x"), []);
    }

    #[test]
    fn the_only_entry_of_a_file_is_used_for_another_registry_only_by_a_literal_pattern() {
        let a = [Credential::password("a", "p")];
        let (one, two) = (folder(ONE), folder(TWO));
        let cases = [
            ("other.io", &one, &a[..], Some("but is used")),
            (
                "*.io",
                &one,
                &[],
                Some("hostnamePattern *.io has a wildcard"),
            ),
            (
                "*",
                &one,
                &[],
                Some("an entry with hostnamePattern other.io"),
            ),
            ("other.io", &two, &[], None),
        ];
        for (pattern, folder, expected, problem) in cases {
            let configured = entry(pattern, None, pull_secret(folder));
            assert_eq!(found(&configured, "other.io/x"), expected, "{pattern}");
            let problems = configured.problems.0.lock();
            let problems: Vec<_> = problems.values().collect();
            assert_eq!(
                problems.len(),
                usize::from(problem.is_some()),
                "{problems:?}"
            );
            assert!(
                problems
                    .iter()
                    .all(|(logged, _)| logged.contains(problem.unwrap_or_default())),
                "{problems:?}"
            );
        }
    }

    #[test]
    fn credentials_are_looked_up_for_the_endpoint() {
        let text = r#"{"auths": {"mirror.io/hub": {"username": "mirror", "password": "p"}, "docker.io": {"username": "hub", "password": "p"}}}"#;
        let folder = folder(text);
        let endpoint = Some("https://mirror.io/hub");
        let configured = entry("docker.io", endpoint, pull_secret(&folder));
        assert_eq!(
            found(&configured, "nginx"),
            [Credential::password("mirror", "p")]
        );
        let image = "nginx".parse().expect("a reference");
        assert_eq!(
            configured.at_endpoint(&image).whole(),
            "mirror.io/hub/library/nginx:latest"
        );
        let other = "ghcr.io/a/b".parse().expect("a reference");
        assert_eq!(*configured.at_endpoint(&other), other);
    }
}
