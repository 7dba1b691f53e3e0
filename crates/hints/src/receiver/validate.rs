//! Validates the settings of receivers.

use std::collections::BTreeSet;

use kube_autorollout_core::reference;

use super::{Receiver, ReceiverSettings};
use crate::{
    authentication::ArtifactoryAuthentication, images::ImagePatterns, oidc::OidcSettings,
    sender::Sender,
};

/// The longest name, in characters; that of a DNS label.
const MAX_NAME: usize = 63;

/// A mistake in the settings of a receiver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The position of the receiver in the list, from zero.
    pub receiver: usize,
    /// The key below the receiver, such as `oidc.claims`.
    pub key: &'static str,
    /// What is wrong, and what to write instead. It repeats no value.
    pub message: String,
}

/// Validates all receivers.
///
/// # Errors
///
/// Every mistake of every receiver.
pub fn receivers(all: Vec<ReceiverSettings>) -> Result<Vec<Receiver>, Vec<Problem>> {
    let mut problems = Vec::new();
    let mut names = BTreeSet::new();
    let mut receivers = Vec::new();
    for (receiver, settings) in all.into_iter().enumerate() {
        let mut check = Check {
            receiver,
            problems: &mut problems,
        };
        if !names.insert(settings.name.clone()) {
            check.problem("name", "another receiver has this name");
        }
        let images = check.all(&settings);
        receivers.push(Receiver { settings, images });
    }
    if problems.is_empty() {
        Ok(receivers)
    } else {
        Err(problems)
    }
}

struct Check<'a> {
    receiver: usize,
    problems: &'a mut Vec<Problem>,
}

impl Check<'_> {
    fn problem(&mut self, key: &'static str, message: impl Into<String>) {
        self.problems.push(Problem {
            receiver: self.receiver,
            key,
            message: message.into(),
        });
    }

    fn all(&mut self, settings: &ReceiverSettings) -> ImagePatterns {
        self.name(&settings.name);
        self.secrets(settings);
        self.naming(settings);
        if settings.may_wait && settings.sender != Sender::Generic {
            self.problem("mayWait", "only a receiver of type generic can wait");
        }
        if settings.authentication != ArtifactoryAuthentication::Secret
            && settings.sender != Sender::Artifactory
        {
            self.problem("authentication", "only for the type artifactory");
        }
        if let Some(oidc) = &settings.oidc {
            if settings.sender != Sender::Generic {
                self.problem("oidc", "only a receiver of type generic takes tokens");
            }
            self.oidc(oidc);
        }
        let mut images = ImagePatterns::default();
        for pattern in &settings.images {
            if let Err(error) = images.add(pattern) {
                self.problem("images", error.to_string());
            }
        }
        images
    }

    /// The name is part of a path and a label of metrics.
    fn name(&mut self, name: &str) {
        let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let is_label = (1..=MAX_NAME).contains(&name.len())
            && name.bytes().all(inner)
            && !name.starts_with('-')
            && !name.ends_with('-');
        if !is_label {
            self.problem(
                "name",
                "use 1 to 63 lower-case letters, digits and hyphens, with a letter or digit at both ends",
            );
        }
    }

    fn secrets(&mut self, settings: &ReceiverSettings) {
        if settings.secret_file.is_none() && settings.oidc.is_none() {
            let message = if settings.sender == Sender::Generic {
                "a receiver needs secretFile or oidc: without one, everybody could send hints"
            } else {
                "a receiver needs a secretFile: without one, everybody could send hints"
            };
            self.problem("secretFile", message);
        }
        if settings.previous_secret_file.is_some() && settings.secret_file.is_none() {
            self.problem(
                "previousSecretFile",
                "the secret before which one? Set secretFile as well",
            );
        }
    }

    fn naming(&mut self, settings: &ReceiverSettings) {
        let naming = &settings.naming;
        let is_artifactory = settings.sender == Sender::Artifactory;
        let names_images = is_artifactory || settings.sender == Sender::Generic;
        let prefix = naming.repository_prefix.as_deref();
        let keys = [
            ("registryHost", naming.registry_host.as_deref()),
            ("repositoryPrefix", prefix),
        ];
        for (key, _) in keys
            .into_iter()
            .filter(|(_, value)| value.is_some() && names_images)
        {
            self.problem(
                key,
                "not for generic, whose images are complete, nor for artifactory, which has repositories",
            );
        }
        if is_artifactory && naming.repositories.is_empty() {
            self.problem(
                "repositories",
                "say how images name each repository, such as docker-local: art.example.org/docker",
            );
        }
        if !is_artifactory && !naming.repositories.is_empty() {
            self.problem("repositories", "only for the type artifactory");
        }
        if naming
            .registry_host
            .as_deref()
            .is_some_and(|host| !is_base(host) || host.contains('/'))
        {
            self.problem(
                "registryHost",
                "a host with an optional port as images name it, without scheme or path, such as registry.example.org:5000",
            );
        }
        if prefix.is_some_and(|prefix| !is_base(&format!("localhost/{prefix}"))) {
            self.problem(
                "repositoryPrefix",
                "lower-case parts of a path without a slash at either end, such as docker/team",
            );
        }
        let bases = naming.repositories.values();
        if bases.clone().any(Vec::is_empty) || bases.flatten().any(|base| !is_base(base)) {
            self.problem(
                "repositories",
                "a host with an optional path as images name it, without scheme, such as art.example.org/docker",
            );
        }
    }

    fn oidc(&mut self, oidc: &OidcSettings) {
        if let Err(message) = oidc.check_issuer() {
            self.problem("oidc.issuer", message);
        }
        if oidc.audience.is_empty() {
            self.problem("oidc.audience", "the audience that tokens are made for");
        }
        if let Err(message) = oidc.check_claims() {
            self.problem("oidc.claims", message);
        }
    }
}

/// Whether an image can begin with `text`: a host with an optional path.
fn is_base(text: &str) -> bool {
    let host = text.split('/').next().unwrap_or_default();
    let is_host = host == "localhost" || host.contains(['.', ':']);
    let image = format!("{text}/team/image:tag");
    is_host && reference::parse(&image).is_ok_and(|reference| reference.whole() == image)
}
