//! TLS to the API server. Certificates are read for each connection, as Kubernetes renews their files in place.

use std::sync::{Arc, Mutex, PoisonError};

use kube_autorollout_tls::{Trust, TrustError};
use rustls::{
    ClientConfig, ConfigBuilder,
    client::WantsClientCert,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use tracing::warn;

use super::{
    access::{Authority, Identity, Unreadable},
    unverified::Unverified,
};
use crate::error_chain::Chain;

/// How connections are secured.
pub(super) struct Tls {
    authority: Authority,
    identity: Option<Identity>,
    last: Mutex<Option<Arc<Made>>>,
}

/// What the last connection was secured with. It remembers sessions, so it is not made anew without need.
struct Made {
    from: Pem,
    configuration: Arc<ClientConfig>,
}

/// What a configuration is made from.
#[derive(PartialEq)]
struct Pem {
    authority: Vec<u8>,
    /// A certificate and its key.
    identity: Option<Vec<u8>>,
}

/// Why there can be no connection.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// A file is not there.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    /// The certificates that we trust are none.
    #[error("the API server's certificate authority is not PEM with certificates")]
    Authority(#[source] TrustError),
    /// Our own certificate or its key is none.
    #[error("the client certificate and its key are not PEM: {0}")]
    Identity(String),
    /// The library does not want them.
    #[error("cannot use the certificates")]
    Tls(#[from] rustls::Error),
}

impl Tls {
    pub(super) fn new(authority: Authority, identity: Option<Identity>) -> Self {
        Self {
            authority,
            identity,
            last: Mutex::new(None),
        }
    }

    /// For the next connection. `told` is the certificate and key that a plugin told, in PEM.
    ///
    /// # Errors
    ///
    /// [`Error`] when it cannot be made and never could: else the last one goes on.
    pub(super) fn configuration(&self, told: Option<Vec<u8>>) -> Result<Arc<ClientConfig>, Error> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let made = match (self.made(told, last.as_ref()), &*last) {
            (Ok(made), _) => made,
            (Err(error), None) => return Err(error),
            (Err(error), Some(last)) => {
                warn!(
                    "the certificates for the API server are not renewed: {}",
                    Chain(&error)
                );
                Arc::clone(last)
            }
        };
        *last = Some(Arc::clone(&made));
        Ok(Arc::clone(&made.configuration))
    }

    fn made(&self, told: Option<Vec<u8>>, last: Option<&Arc<Made>>) -> Result<Arc<Made>, Error> {
        let from = self.read(told)?;
        if let Some(last) = last
            && last.from == from
        {
            return Ok(Arc::clone(last));
        }
        let configuration = Arc::new(self.make(&from)?);
        Ok(Arc::new(Made {
            from,
            configuration,
        }))
    }

    fn read(&self, told: Option<Vec<u8>>) -> Result<Pem, Unreadable> {
        let authority = match &self.authority {
            Authority::Known(certificates) => certificates.read()?,
            Authority::Public | Authority::Unverified => Vec::new(),
        };
        let identity = match (told, &self.identity) {
            (None, Some(identity)) => {
                Some([identity.certificate.read()?, identity.key.read()?].join(&b'\n'))
            }
            (told, _) => told,
        };
        Ok(Pem {
            authority,
            identity,
        })
    }

    fn make(&self, pem: &Pem) -> Result<ClientConfig, Error> {
        let trusting = |trust: Trust| trust.client().map_err(Error::Authority);
        let builder = match &self.authority {
            Authority::Unverified => unverified()?,
            Authority::Known(_) => {
                let mut trust = Trust::none();
                trust.add_pem(&pem.authority).map_err(Error::Authority)?;
                trusting(trust)?
            }
            Authority::Public => trusting(Trust::public_roots())?,
        };
        let Some(identity) = &pem.identity else {
            return Ok(builder.with_no_client_auth());
        };
        let unreadable = |error: rustls::pki_types::pem::Error| Error::Identity(error.to_string());
        let chain = CertificateDer::pem_slice_iter(identity)
            .collect::<Result<Vec<_>, _>>()
            .map_err(unreadable)?;
        let key = PrivateKeyDer::from_pem_slice(identity).map_err(unreadable)?;
        Ok(builder.with_client_auth_cert(chain, key)?)
    }
}

fn unverified() -> Result<ConfigBuilder<ClientConfig, WantsClientCert>, Error> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()?;
    Ok(builder
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Unverified::new(provider))))
}

#[cfg(test)]
mod tests;
