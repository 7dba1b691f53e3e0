//! What is presented to registries, and where it comes from.

mod chain;
mod provider;
mod secret;

pub(crate) use self::secret::Secret;
pub use self::{
    chain::CredentialChain,
    provider::{Asked, CredentialProvider, Issued, Issuing, ProviderError},
    secret::{Credential, Fingerprint},
};
