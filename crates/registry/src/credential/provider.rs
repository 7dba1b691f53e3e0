//! Providers of credentials: Secrets and files, which store them, and clouds, which issue them for a limited time.

use std::{fmt, future::Future, pin::Pin, sync::Arc, time::Duration};

use super::secret::{Credential, Fingerprint};

/// A provider of a credential.
///
/// A Secret or a file stores a [`Credential`], which provides itself. A cloud issues one on request, valid for a limited
/// time; its provider caches it, so that frequent requests are cheap.
pub trait CredentialProvider: fmt::Debug + Send + Sync {
    /// The key under which responses may be shared. Equal for providers of equal credentials; unchanged when a credential is
    /// renewed.
    fn fingerprint(&self) -> Fingerprint;

    /// Issues the credential for a repository of a registry.
    fn issue<'a>(&'a self, request: IssueRequest<'a>) -> IssueFuture<'a>;

    /// Advice for a registry that refuses an issued credential, if the cause is known: which permission is missing.
    fn refusal_advice(&self) -> Option<&'static str> {
        None
    }

    /// Whether the credential may be sent to a token server on another host than the registry's. A registry can name any host,
    /// and a credential for a whole cloud must not leave it.
    fn may_be_sent_to(&self, _host: &str) -> bool {
        true
    }
}

/// The future of [`CredentialProvider::issue`].
pub type IssueFuture<'a> =
    Pin<Box<dyn Future<Output = Result<IssuedCredential, ProviderError>> + Send + 'a>>;

/// A request for a credential.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct IssueRequest<'a> {
    /// The registry: `host` or `host:port`.
    pub registry: &'a str,
    /// The repository.
    pub repository: &'a str,
    /// The credential that the registry refused, to be replaced.
    pub refused: Option<&'a Credential>,
}

impl<'a> IssueRequest<'a> {
    /// A request for a repository of a registry.
    pub fn new(registry: &'a str, repository: &'a str) -> Self {
        Self {
            registry,
            repository,
            refused: None,
        }
    }
}

/// An issued credential, and its identity.
#[derive(Debug, Clone)]
pub struct IssuedCredential {
    pub(crate) credential: Credential,
    pub(crate) identity: Option<Arc<str>>,
    expires_in: Option<Duration>,
}

impl IssuedCredential {
    /// A credential that does not expire.
    pub fn lasting(credential: Credential) -> Self {
        Self {
            credential,
            identity: None,
            expires_in: None,
        }
    }

    /// A credential that was issued to an identity for a limited time. A refusal of it locks no account, so it is renewed
    /// instead of quarantined.
    pub fn expiring(
        credential: Credential,
        expires_in: Duration,
        identity: impl Into<Arc<str>>,
    ) -> Self {
        Self {
            credential,
            identity: Some(identity.into()),
            expires_in: Some(expires_in),
        }
    }

    /// The credential.
    pub fn credential(&self) -> &Credential {
        &self.credential
    }

    /// Its remaining lifetime, if it expires.
    pub fn expires_in(&self) -> Option<Duration> {
        self.expires_in
    }
}

impl CredentialProvider for Credential {
    fn fingerprint(&self) -> Fingerprint {
        self.content()
    }

    fn issue<'a>(&'a self, _: IssueRequest<'a>) -> IssueFuture<'a> {
        Box::pin(std::future::ready(Ok(IssuedCredential::lasting(
            self.clone(),
        ))))
    }
}

/// A failure to issue a credential, which implies nothing about the registry or other credentials.
///
/// Its message is one line with the step that failed and the cloud's error code, and contains no secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ProviderError {
    message: Arc<str>,
    advice: &'static str,
    retry_after: Option<Duration>,
}

impl ProviderError {
    /// An error with a message, and advice in one sentence.
    pub fn new(message: impl Into<Arc<str>>, advice: &'static str) -> Self {
        Self {
            message: message.into(),
            advice,
            retry_after: None,
        }
    }

    /// Sets the time until a retry.
    #[must_use]
    pub fn retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }

    /// What to do about it, in one sentence.
    pub fn advice(&self) -> &'static str {
        self.advice
    }

    /// The time until a retry makes sense, if known.
    pub fn wait(&self) -> Option<Duration> {
        self.retry_after
    }
}
