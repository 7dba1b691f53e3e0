//! Certificates that are trusted in addition to the public roots.

use std::{fmt, sync::Arc};

use kube_autorollout_tls::{Trust, TrustError};
use rustls::ClientConfig;

/// Trusted certificates of a PEM file: authorities, or servers themselves.
#[derive(Clone, PartialEq, Eq)]
pub struct Certificate {
    pem: Arc<[u8]>,
}

/// A PEM text that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidCertificate {
    /// It has no certificate.
    #[error("there is no certificate")]
    Empty,
    /// It is not PEM, or a certificate is malformed.
    #[error("the certificates cannot be read: {0}")]
    Malformed(String),
}

impl Certificate {
    /// Parses all certificates of a PEM text.
    ///
    /// # Errors
    ///
    /// [`InvalidCertificate`] if there is none, or one of them is malformed.
    pub fn from_pem(pem: &[u8]) -> Result<Self, InvalidCertificate> {
        match Trust::none().add_pem(pem) {
            Ok(()) => Ok(Self { pem: pem.into() }),
            Err(TrustError::Empty) => Err(InvalidCertificate::Empty),
            Err(error) => Err(InvalidCertificate::Malformed(error.to_string())),
        }
    }

    /// A TLS configuration that trusts the public roots and these certificates.
    pub(crate) fn client_config<'a>(
        certificates: impl Iterator<Item = &'a Self>,
    ) -> Result<ClientConfig, TrustError> {
        let mut trust = Trust::public_roots();
        for certificate in certificates {
            trust.add_pem(&certificate.pem)?;
        }
        Ok(trust.client()?.with_no_client_auth())
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Certificate(..)") // not the bytes, which would fill a log
    }
}
