//! What a conversation with a registry is about.

use std::sync::Arc;

use http::{HeaderValue, StatusCode};

use super::{
    authorization::Authorization,
    head_fallback::HeadFallback,
    quarantine::{Key, Probe, Quarantine},
    resource::{Resource, Subject},
    state::AuthState,
    token::TokenCache,
};
use crate::{
    credential::{Credential, CredentialProvider, Fingerprint},
    error::{Error, repr::Repr},
    http::{HostClient, HttpClient, Request, Response},
    observer::Operation,
    origin::Origin,
};

/// What a conversation is about: which resource of which host is asked for, and with which credential.
#[derive(Clone, Copy)]
pub(crate) struct Context<'a> {
    pub(crate) http: &'a HttpClient,
    pub(crate) tokens: &'a TokenCache,
    pub(crate) quarantine: &'a Quarantine,
    pub(crate) client_id: &'a str,
    pub(crate) host: &'a Arc<HostClient>,
    pub(crate) resource: &'a Resource,
    pub(crate) fallback: &'a dyn HeadFallback,
    pub(crate) credential: Option<&'a Credential>,
    /// Where the credential comes from.
    pub(crate) provider: Option<&'a dyn CredentialProvider>,
    /// The credential was issued for a while: a refusal locks nobody out.
    pub(crate) is_issued: bool,
}

impl<'a> Context<'a> {
    /// The same without credentials, at another host.
    pub(crate) fn anonymous(self, host: &'a Arc<HostClient>) -> Self {
        Self {
            host,
            credential: None,
            provider: None,
            is_issued: false,
            ..self
        }
    }

    /// Whose request it is, whichever credential is presented for it.
    pub(crate) fn fingerprint(&self) -> Option<Fingerprint> {
        self.provider.map(CredentialProvider::fingerprint)
    }

    /// Under which it is known whether the repository is refused to the credential. Nothing is held against one that was
    /// issued.
    pub(crate) fn key(&self) -> Option<Key> {
        if self.is_issued {
            return None;
        }
        Some(Key {
            registry: self.host.origin.clone(),
            repository: Some(self.resource.repository.clone()),
            credential: self.fingerprint()?,
        })
    }

    /// Waits for the right to present the credential.
    pub(crate) async fn admit(&self, credential: Fingerprint) -> Result<Probe, Error> {
        if self.is_issued {
            return Ok(Probe::unrecorded());
        }
        let admitted = self.quarantine.admit(self.host, credential).await;
        admitted.map_err(|repr| self.error(repr))
    }

    /// Whether a token server may be sent the credential.
    pub(crate) fn may_be_sent_to(&self, origin: &Origin) -> bool {
        let is_own = *origin == self.host.origin || !self.is_issued;
        // What was issued goes nowhere without TLS but to the registry that the configuration names.
        is_own
            || self.provider.is_none_or(|provider| {
                origin.secure && origin.port == 443 && provider.may_be_sent_to(&origin.host)
            })
    }

    pub(crate) fn error(&self, repr: Repr) -> Error {
        self.host.error(repr)
    }

    /// Whether a refusal is about a manifest alone, as the caller was let in to the repository's tag.
    pub(crate) fn concerns_the_manifest_alone(&self, response: &Response) -> bool {
        let (repository, credential) = (&self.resource.repository, self.fingerprint());
        let state = AuthState::of(self.host);
        let mut state = state.lock();
        if self.resource.subject == Subject::Repository {
            state.forget_let_in(repository, credential);
            return false;
        }
        let refused = response.status == StatusCode::UNAUTHORIZED;
        state.is_let_in(repository, credential, refused)
    }

    /// The registry accepts the credential and does not let it read the repository.
    pub(crate) fn refuse_repository(&self, response: Option<&Response>) -> Error {
        if let Some(key) = self.key() {
            self.quarantine.refuse(key);
        }
        self.unauthorized(response)
    }

    /// The registry lets in a request.
    pub(crate) fn let_in(&self, authorization: Authorization) {
        if self.resource.subject == Subject::Repository {
            let (state, repository) = (AuthState::of(self.host), &self.resource.repository);
            state.lock().learn_let_in(repository, self.fingerprint());
        }
        let authenticated = !matches!(authorization, Authorization::None);
        if let Some(key) = self.key().filter(|_| authenticated) {
            self.quarantine.accept(&key);
        }
        authorization.accept();
    }

    pub(crate) fn unauthorized(&self, response: Option<&Response>) -> Error {
        let repr = Repr::Unauthorized {
            had_credentials: self.credential.is_some(),
        };
        match response {
            Some(response) => response.error(repr),
            None => self.error(repr),
        }
    }

    /// A request on the account of the credential.
    pub(crate) fn request(&self, of: &Request, authorization: Option<HeaderValue>) -> Request {
        Request {
            authorization,
            account: self.fingerprint(),
            ..of.clone()
        }
    }

    /// The same for the registry's base.
    pub(crate) fn base_request(&self, of: &Request, authorization: Option<HeaderValue>) -> Request {
        Request {
            operation: Operation::Get,
            uri: self.resource.base.clone(),
            if_none_match: None,
            ..self.request(of, authorization)
        }
    }
}
