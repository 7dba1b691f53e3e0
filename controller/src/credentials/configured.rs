//! Credentials of the configuration. Files are read at each use, so that what is rotated is used at the next check.

use std::{fs, path::Path};

use kube_autorollout_core::Reference;
use kube_autorollout_registry::{Credential, HostPattern, Keyring, MissingCredential};

use super::Told;
use crate::config::{RegistryEntry, Secret, TokenSource};

/// The file of a mounted Secret of type `kubernetes.io/dockerconfigjson`.
const DOCKER_CONFIG: &str = ".dockerconfigjson";

/// What is configured for all registries.
#[derive(Debug)]
pub(crate) struct Configured {
    entries: Vec<Entry>,
    told: Told,
}

/// What is configured for some registries.
#[derive(Debug)]
struct Entry {
    pattern: HostPattern,
    secret: Secret,
}

impl Configured {
    /// Of these entries, the first one for a registry counts.
    pub(crate) fn new(registries: &[RegistryEntry]) -> Self {
        let entries = registries.iter().map(|entry| Entry {
            pattern: entry.pattern.clone(),
            secret: entry.secret.clone(),
        });
        Self {
            entries: entries.collect(),
            told: Told::default(),
        }
    }

    /// What is configured for the registry of an image, in the order in which it is tried.
    pub(crate) fn of(&self, reference: &Reference) -> Vec<Credential> {
        match self.entry(reference).map(|entry| &entry.secret) {
            None | Some(Secret::None) => Vec::new(),
            Some(Secret::ImagePullSecret { mount_path }) => {
                mounted(&mount_path.join(DOCKER_CONFIG), reference, &self.told)
            }
            Some(Secret::Opaque { username, token }) => {
                let credential = opaque(username.as_deref(), token, &self.told);
                credential.into_iter().collect()
            }
        }
    }

    /// What a mounted file has for an image in the place of credentials, where it has none.
    pub(crate) fn missing(&self, reference: &Reference) -> Option<MissingCredential> {
        let Secret::ImagePullSecret { mount_path } = &self.entry(reference)?.secret else {
            return None;
        };
        let keyring = keyring(&mount_path.join(DOCKER_CONFIG)).ok()?;
        keyring.missing(reference).cloned()
    }

    fn entry(&self, reference: &Reference) -> Option<&Entry> {
        let mut entries = self.entries.iter();
        entries.find(|entry| entry.pattern.matches(reference.registry()))
    }
}

/// What a mounted file holds.
fn keyring(path: &Path) -> Result<Keyring, String> {
    let text = text(path)?;
    let mut keyring = Keyring::default();
    let added = keyring.add_config_json(text.as_bytes());
    added.map_err(|error| format!("{} is not used: {error}", path.display()))?;
    Ok(keyring)
}

fn opaque(username: Option<&str>, token: &TokenSource, told: &Told) -> Option<Credential> {
    let token = match token {
        TokenSource::Inline(token) => token.expose().to_owned(),
        TokenSource::File(path) => {
            let text = usable(path, text(path), told)?;
            text.trim_end_matches(['\r', '\n']).to_owned()
        }
    };
    Some(match username {
        Some(username) => Credential::password(username, token),
        None => Credential::bearer(token),
    })
}

/// The entries that the kubelet would use; the only entry of a file where none of them is for this registry.
fn mounted(path: &Path, reference: &Reference, told: &Told) -> Vec<Credential> {
    let Some(keyring) = usable(path, keyring(path), told) else {
        return Vec::new();
    };
    let found = keyring.lookup(reference);
    let only = keyring.only().filter(|_| found.is_empty());
    let place = format!("{} for {}", path.display(), reference.registry());
    let other = only.map(|_| {
        format!(
            "the only entry of {} is not for {}, and is used all the same",
            path.display(),
            reference.registry()
        )
    });
    told.note(&place, other);
    only.map_or(found, <[_]>::to_vec)
}

/// What a file holds, or what is to be said of it.
fn text(path: &Path) -> Result<String, String> {
    fs::read_to_string(path).map_err(|error| format!("cannot read {}: {error}", path.display()))
}

/// What could be had of a file; of one that is mended later nothing needs to be said, it is read at each use.
fn usable<T>(path: &Path, had: Result<T, String>, told: &Told) -> Option<T> {
    let (had, trouble) = had.map_or_else(|trouble| (None, Some(trouble)), |had| (Some(had), None));
    told.note(&path.display().to_string(), trouble);
    had
}

#[cfg(test)]
mod tests {
    use super::*;

    fn configured(secret: Secret) -> Configured {
        Configured {
            entries: vec![Entry {
                pattern: "*".parse().expect("a pattern"),
                secret,
            }],
            told: Told::default(),
        }
    }

    fn found(configured: &Configured, image: &str) -> Vec<Credential> {
        configured.of(&image.parse().expect("a reference"))
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

    #[test]
    fn a_mounted_file_is_used_as_the_kubelet_would_and_its_only_entry_in_any_case() {
        let folder = tempfile::tempdir().expect("a folder");
        let configured = configured(Secret::ImagePullSecret {
            mount_path: folder.path().to_owned(),
        });
        let write =
            |text: &str| fs::write(folder.path().join(DOCKER_CONFIG), text).expect("a file");
        let a = Credential::password("a", "p");
        write(r#"{"auths": {"a.io": {"username": "a", "password": "p"}}}"#);
        assert_eq!(found(&configured, "a.io/x"), std::slice::from_ref(&a));
        assert_eq!(
            found(&configured, "other.io/x"),
            std::slice::from_ref(&a),
            "the only entry"
        );
        write(
            r#"{"auths": {"a.io": {"username": "a", "password": "p"}, "b.io": {"username": "b", "password": "p"}}}"#,
        );
        assert_eq!(found(&configured, "a.io/x"), [a]);
        assert_eq!(found(&configured, "other.io/x"), []);
        write("{");
        assert_eq!(found(&configured, "a.io/x"), []);
    }
}
