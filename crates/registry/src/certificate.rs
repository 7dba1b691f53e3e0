//! Certificates that are trusted besides the public roots.

use std::{fmt, sync::Arc};

use kube_autorollout_tls::{Trust, TrustError};

/// The certificates of a PEM file: what they sign is trusted, and servers that present one of them.
#[derive(Clone, PartialEq, Eq)]
pub struct Certificate {
    pem: Arc<[u8]>,
}

/// A text without usable certificates.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidCertificate {
    /// There is none in it.
    #[error("there is no certificate")]
    Empty,
    /// It is not PEM, or a certificate in it makes no sense.
    #[error("the certificates cannot be read: {0}")]
    Malformed(String),
}

impl Certificate {
    /// All certificates of a PEM text.
    ///
    /// # Errors
    ///
    /// [`InvalidCertificate`] when there is none, or one of them cannot be used.
    pub fn from_pem(pem: &[u8]) -> Result<Self, InvalidCertificate> {
        match Trust::none().add_pem(pem) {
            Ok(()) => Ok(Self { pem: pem.into() }),
            Err(TrustError::Empty) => Err(InvalidCertificate::Empty),
            Err(error) => Err(InvalidCertificate::Malformed(error.to_string())),
        }
    }

    pub(crate) fn pem(&self) -> &[u8] {
        &self.pem
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Certificate(..)") // the bytes would fill a log
    }
}
