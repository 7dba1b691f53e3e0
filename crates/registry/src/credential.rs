//! Credentials and their providers.

mod chain;
mod provider;
mod secret;

pub(crate) use self::secret::Secret;
pub use self::{
    chain::CredentialChain,
    provider::{CredentialProvider, IssueFuture, IssueRequest, IssuedCredential, ProviderError},
    secret::{Credential, Fingerprint},
};
