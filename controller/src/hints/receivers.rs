//! The configured receivers, with their rate limits and secrets.

use std::{collections::HashMap, fs, path::Path, sync::Arc, time::Duration};

use kube_autorollout_hints::{Limits, Receiver, Secret, Secrets, oidc::Verifier};
use parking_lot::Mutex;
use tokio::time::Instant;

/// Minimum interval of log lines about refused requests, per receiver.
const LOG_INTERVAL: Duration = Duration::from_secs(60);

/// The receivers by name.
pub(crate) struct Receivers(HashMap<String, Arc<ReceiverState>>);

/// A receiver with its state.
pub(super) struct ReceiverState {
    pub(super) receiver: Receiver,
    pub(super) limits: Mutex<Limits>,
    /// The last log line about a refused or malformed request.
    logged: Mutex<Option<Instant>>,
    /// Verifies the tokens of CI jobs, if they are accepted.
    pub(super) verifier: Option<Mutex<Verifier>>,
}

/// The secret of a receiver cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum SecretError {
    #[error("cannot read {path}")]
    Read {
        path: String,
        source: std::io::Error,
    },
    #[error("{path} does not contain a valid secret")]
    Invalid {
        path: String,
        source: kube_autorollout_hints::InvalidSecret,
    },
}

impl Receivers {
    /// The receivers, with full rate limits.
    pub(crate) fn new(receivers: impl IntoIterator<Item = Receiver>) -> Self {
        let now = Instant::now().into_std();
        let hook = |receiver: Receiver| {
            let settings = receiver.settings();
            let oidc = settings.oidc.clone();
            let hook = ReceiverState {
                limits: Mutex::new(Limits::new(settings.rate, now)),
                logged: Mutex::default(),
                verifier: oidc.map(|oidc| Mutex::new(Verifier::new(oidc))),
                receiver,
            };
            (hook.name().to_owned(), Arc::new(hook))
        };
        Self(receivers.into_iter().map(hook).collect())
    }

    /// The receiver with this name.
    pub(super) fn get(&self, name: &str) -> Option<&Arc<ReceiverState>> {
        self.0.get(name)
    }
}

impl ReceiverState {
    pub(super) fn name(&self) -> &str {
        &self.receiver.settings().name
    }

    /// Whether to log a refused or malformed request: once a minute, as anyone can send them.
    pub(super) fn logs_refusal(&self) -> bool {
        let mut logged = self.logged.lock();
        let logs = logged.is_none_or(|last| last.elapsed() >= LOG_INTERVAL);
        if logs {
            *logged = Some(Instant::now());
        }
        logs
    }

    /// Reads the secrets, which the kubelet replaces when they rotate; `None` if none is configured.
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
        // The previous secret may have been removed.
        let previous = previous.and_then(|path| read(path).ok());
        Ok(Some(Secrets::new(read(path)?, previous)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error_chain::Chain;

    #[test]
    fn the_cause_of_a_secret_error_is_logged_once() {
        let error = SecretError::Read {
            path: "/secret".to_owned(),
            source: std::io::Error::other("denied"),
        };
        assert_eq!(Chain(&error).to_string(), "cannot read /secret: denied");
    }
}
