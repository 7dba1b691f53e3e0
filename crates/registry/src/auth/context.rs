//! The context of an exchange with a registry.

use std::sync::Arc;

use http::{HeaderValue, StatusCode};

use super::{
    authorization::Authorization,
    host_state::HostState,
    interface::{HeadFallback, Resource, Subject},
    quarantine::{Key, Probe, Quarantine},
    token_cache::TokenCache,
};
use crate::{
    credential::{Credential, CredentialProvider, Fingerprint, IssuedCredential},
    error::{Error, repr::Repr},
    http::{HostClient, HttpClient, Request, Response},
    observer::Operation,
    origin::Origin,
};

/// The context of an exchange: the resource, its host, and the credential.
#[derive(Clone, Copy)]
pub(crate) struct Context<'a> {
    pub(crate) http: &'a HttpClient,
    pub(crate) tokens: &'a TokenCache,
    pub(crate) quarantine: &'a Quarantine,
    pub(crate) client_id: &'a str,
    pub(crate) host: &'a Arc<HostClient>,
    pub(crate) resource: &'a Resource,
    pub(crate) fallback: &'a dyn HeadFallback,
    /// None: anonymous.
    pub(crate) login: Option<Login<'a>>,
}

/// A credential, and the provider that issued it.
#[derive(Clone, Copy)]
pub(crate) struct Login<'a> {
    pub(crate) provider: &'a dyn CredentialProvider,
    pub(crate) issued: &'a IssuedCredential,
}

impl<'a> Context<'a> {
    /// The same without credentials, at another host.
    pub(crate) fn anonymous(self, host: &'a Arc<HostClient>) -> Self {
        Self {
            host,
            login: None,
            ..self
        }
    }

    pub(crate) fn credential(&self) -> Option<&'a Credential> {
        Some(self.login?.issued.credential())
    }

    /// The identity of the caller, whichever credential its provider issues.
    pub(crate) fn fingerprint(&self) -> Option<Fingerprint> {
        Some(self.login?.provider.fingerprint())
    }

    /// Whether the credential was issued for a limited time. A refusal of it locks no account, so it is never quarantined.
    fn expires(&self) -> bool {
        let login = self.login.as_ref();
        login.is_some_and(|login| login.issued.expires_in().is_some())
    }

    /// The quarantine's key for the repository and the credential, unless it is exempt.
    fn quarantine_key(&self) -> Option<Key> {
        if self.expires() {
            return None;
        }
        Some(Key {
            registry: self.host.origin.clone(),
            repository: Some(self.resource.full_name.clone()),
            credential: self.fingerprint()?,
        })
    }

    /// Fails while the repository is quarantined for the credential.
    pub(crate) fn check_quarantine(&self) -> Result<(), Error> {
        let key = self.quarantine_key();
        let checked = key.map_or(Ok(()), |key| self.quarantine.check(&key));
        checked.map_err(|repr| self.error(repr))
    }

    /// Waits until the credential may be presented.
    pub(crate) async fn probe(&self, credential: &Credential) -> Result<Probe, Error> {
        if self.expires() {
            return Ok(Probe::unrecorded());
        }
        let probe = self.quarantine.probe(self.host, credential.content()).await;
        probe.map_err(|repr| self.error(repr))
    }

    /// Whether the credential may be sent to a token server. One that was issued goes without TLS only to the registry
    /// itself, which the configuration names.
    pub(crate) fn may_be_sent_to(&self, origin: &Origin) -> bool {
        *origin == self.host.origin
            || !self.expires()
            || self.login.is_none_or(|login| {
                origin.secure && origin.port == 443 && login.provider.may_be_sent_to(&origin.host)
            })
    }

    pub(crate) fn error(&self, repr: Repr) -> Error {
        self.host.error(repr)
    }

    pub(crate) fn unauthorized(&self) -> Repr {
        Repr::Unauthorized {
            had_credentials: self.login.is_some(),
        }
    }

    /// Whether a refusal concerns one manifest, as the caller has access to the repository. The refusal of a tag ends that
    /// access.
    pub(crate) fn is_manifest_refused(&self, response: &Response) -> bool {
        let (repository, credential) = (&self.resource.full_name, self.fingerprint());
        let state = HostState::of(self.host);
        let mut state = state.lock();
        if self.resource.subject == Subject::Repository {
            state.forget_access(repository, credential);
            return false;
        }
        let unauthorized = response.status == StatusCode::UNAUTHORIZED;
        state.has_access(repository, credential, unauthorized)
    }

    /// Quarantines the repository for a credential that the registry accepts. Returns whether it was not refused before;
    /// nothing if the credential is exempt.
    pub(crate) fn quarantine_repository(&self) -> Option<bool> {
        let key = self.quarantine_key()?;
        Some(self.quarantine.refuse_repository(key))
    }

    /// Records that the registry granted a request.
    pub(crate) fn grant(&self, authorization: Authorization) {
        if self.resource.subject == Subject::Repository {
            let (state, repository) = (HostState::of(self.host), &self.resource.full_name);
            state.lock().put_access(repository, self.fingerprint());
        }
        if !authorization.is_none()
            && let Some(key) = self.quarantine_key()
        {
            self.quarantine.accept_repository(&key);
        }
        authorization.accept();
    }

    /// The request with an authorization, on the account of the credential.
    pub(crate) fn request(&self, request: &Request, authorization: Option<HeaderValue>) -> Request {
        Request {
            authorization,
            account: self.fingerprint(),
            ..request.clone()
        }
    }

    /// The same for the registry's base.
    pub(crate) fn base_request(
        &self,
        request: &Request,
        authorization: Option<HeaderValue>,
    ) -> Request {
        Request {
            operation: Operation::Get,
            uri: self.resource.base.clone(),
            if_none_match: None,
            ..self.request(request, authorization)
        }
    }
}
