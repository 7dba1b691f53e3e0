//! The configured receivers, with what each remembers of its senders.

use std::{collections::HashMap, fs, path::Path, time::Duration};

use kube_autorollout_hints::{Limits, Receiver, Secret, Secrets, oidc::Verifier};
use parking_lot::Mutex;
use tokio::time::Instant;

/// So often is logged at most that a request to a receiver was refused.
const LOGGED: Duration = Duration::from_secs(60);

/// The receivers by their names.
pub(crate) struct Receivers(HashMap<String, Hook>);

/// A receiver, and how much it takes.
pub(super) struct Hook {
    pub(super) receiver: Receiver,
    pub(super) limits: Mutex<Limits>,
    /// When it was last logged that a request was refused or could not be read.
    refused: Mutex<Option<Instant>>,
    /// Of the tokens of CI jobs, where they are accepted.
    pub(super) verifier: Option<Mutex<Verifier>>,
}

/// Why the secret of a receiver cannot be used now.
#[derive(Debug, thiserror::Error)]
pub(super) enum SecretError {
    #[error("cannot read {path}: {source}")]
    Read {
        path: String,
        source: std::io::Error,
    },
    #[error("{path} holds no secret that can be used: {source}")]
    Invalid {
        path: String,
        source: kube_autorollout_hints::InvalidSecret,
    },
}

impl Receivers {
    /// These receivers, none of which has taken a request yet.
    pub(crate) fn new(receivers: impl IntoIterator<Item = Receiver>) -> Self {
        let now = Instant::now().into_std();
        let hook = |receiver: Receiver| {
            let settings = receiver.settings();
            let oidc = settings.oidc.clone();
            let hook = Hook {
                limits: Mutex::new(Limits::new(settings.rate, now)),
                refused: Mutex::default(),
                verifier: oidc.map(|oidc| Mutex::new(Verifier::new(oidc))),
                receiver,
            };
            (hook.name().to_owned(), hook)
        };
        Self(receivers.into_iter().map(hook).collect())
    }

    /// The receiver of this name.
    pub(super) fn get(&self, name: &str) -> Option<&Hook> {
        self.0.get(name)
    }
}

impl Hook {
    pub(super) fn name(&self) -> &str {
        &self.receiver.settings().name
    }

    /// Whether it is to be logged that a request is refused or cannot be read: once a minute, as senders can cause that at
    /// will.
    pub(super) fn logs_refusal(&self) -> bool {
        let mut refused = self.refused.lock();
        let logs = refused.is_none_or(|last| last.elapsed() >= LOGGED);
        if logs {
            *refused = Some(Instant::now());
        }
        logs
    }

    /// The secrets as their files are now: the kubelet replaces them when they rotate. `None` where none is configured.
    pub(super) fn secrets(&self) -> Result<Option<Secrets>, SecretError> {
        let settings = self.receiver.settings();
        let Some(path) = &settings.secret_file else {
            return Ok(None);
        };
        let read = |path: &Path| {
            let content = fs::read(path).map_err(|source| SecretError::Read {
                path: path.display().to_string(),
                source,
            })?;
            Secret::new(settings.sender, &content).map_err(|source| SecretError::Invalid {
                path: path.display().to_string(),
                source,
            })
        };
        let previous = settings.previous_secret_file.as_deref();
        // The one before may be gone by now.
        let previous = previous.and_then(|path| read(path).ok());
        Ok(Some(Secrets::new(read(path)?, previous)))
    }
}
