//! The seam through which credentials come: from Secrets and files, where they are at hand, and from clouds, which issue
//! them for a while.

use std::{fmt, future::Future, pin::Pin, sync::Arc, time::Duration};

use super::secret::{Credential, Fingerprint};

/// Where a credential comes from.
///
/// What a Secret or a file holds is a [`Credential`], which provides itself. A cloud issues one when it is asked, good for
/// a while; it keeps what it has issued, so that asking often costs nothing.
pub trait CredentialProvider: fmt::Debug + Send + Sync {
    /// The scope under which answers may be shared. Equal for providers of equal credentials; it stays when a credential is
    /// issued anew.
    fn fingerprint(&self) -> Fingerprint;

    /// The credential for a repository of a registry.
    fn issue<'a>(&'a self, asked: Asked<'a>) -> Issuing<'a>;

    /// What to do where a registry refuses what was issued, if more is known than that it does: which permission is missing.
    fn refusal_advice(&self) -> Option<&'static str> {
        None
    }

    /// Whether a host other than the registry, its token server, may be sent the credential. A registry names any host,
    /// and what is good for all of a cloud is not for all hosts.
    fn may_be_sent_to(&self, _host: &str) -> bool {
        true
    }
}

/// What [`CredentialProvider::issue`] gives.
pub type Issuing<'a> = Pin<Box<dyn Future<Output = Result<Issued, ProviderError>> + Send + 'a>>;

/// What a credential is for.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Asked<'a> {
    /// The host that is asked: `host` or `host:port`.
    pub registry: &'a str,
    /// The repository there.
    pub repository: &'a str,
    /// What was issued before and the registry has refused, so that another one is wanted.
    pub refused: Option<&'a Credential>,
}

impl<'a> Asked<'a> {
    /// For a repository of a registry, of which no credential was refused.
    pub fn new(registry: &'a str, repository: &'a str) -> Self {
        Self {
            registry,
            repository,
            refused: None,
        }
    }
}

/// A credential, and whose it is.
#[derive(Debug, Clone)]
pub struct Issued {
    pub(crate) credential: Credential,
    pub(crate) identity: Option<Arc<str>>,
    expires_in: Option<Duration>,
}

impl Issued {
    /// One that is good until somebody changes it where it is kept.
    pub fn lasting(credential: Credential) -> Self {
        Self {
            credential,
            identity: None,
            expires_in: None,
        }
    }

    /// One that was issued to an identity for a while. A refusal of it locks nobody out, so it is never quarantined; it is
    /// replaced by another one.
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

    /// What is presented.
    pub fn credential(&self) -> &Credential {
        &self.credential
    }

    /// For how long it is good, if it ends by itself.
    pub fn expires_in(&self) -> Option<Duration> {
        self.expires_in
    }
}

impl CredentialProvider for Credential {
    fn fingerprint(&self) -> Fingerprint {
        self.content()
    }

    fn issue<'a>(&'a self, _: Asked<'a>) -> Issuing<'a> {
        Box::pin(std::future::ready(Ok(Issued::lasting(self.clone()))))
    }
}

/// No credential was issued. That says nothing about the registry, nor about other credentials.
///
/// Its text is one line, names the step that failed and the cloud's own error code, and holds no secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ProviderError {
    message: Arc<str>,
    advice: &'static str,
    retry_after: Option<Duration>,
}

impl ProviderError {
    /// What failed, and what to do about it.
    pub fn new(message: impl Into<Arc<str>>, advice: &'static str) -> Self {
        Self {
            message: message.into(),
            advice,
            retry_after: None,
        }
    }

    /// The same, not to be asked again for so long.
    #[must_use]
    pub fn retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }

    /// What to do about it: one sentence.
    pub fn advice(&self) -> &'static str {
        self.advice
    }

    /// For how long asking again is of no use.
    pub fn wait(&self) -> Option<Duration> {
        self.retry_after
    }
}
