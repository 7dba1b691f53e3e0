#![doc = include_str!("../README.md")]

use std::sync::Arc;

use rustls::{
    CertificateError, ClientConfig, ConfigBuilder, DigitallySignedStruct, Error, OtherError,
    RootCertStore, SignatureScheme,
    client::{
        WantsClientCert, WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        verify_server_name,
    },
    crypto::ring,
    pki_types::{CertificateDer, ServerName, UnixTime, pem, pem::PemObject as _},
    server::ParsedCertificate,
};

mod stream;
#[cfg(test)]
mod tests;

pub use stream::Stream;

/// The certificates that are trusted.
#[derive(Debug, Clone)]
pub struct Trust {
    roots: RootCertStore,
    configured: Vec<CertificateDer<'static>>,
}

/// Certificates that cannot be trusted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrustError {
    /// The text is not PEM.
    #[error("{0}")]
    Pem(String),
    /// There is no certificate in it.
    #[error("there is no certificate")]
    Empty,
    /// A certificate that makes no sense, or a library that cannot be set up.
    #[error(transparent)]
    Tls(#[from] Error),
}

/// Why a server with the certificate of an authority is not trusted.
#[derive(Debug, thiserror::Error)]
#[error("the server's certificate is one of an authority, and not itself one of those configured")]
struct AuthorityAsServer;

impl Trust {
    /// No server is trusted yet.
    pub fn none() -> Self {
        Self {
            roots: RootCertStore::empty(),
            configured: Vec::new(),
        }
    }

    /// The authorities that Mozilla trusts.
    pub fn public_roots() -> Self {
        Self {
            roots: RootCertStore {
                roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
            },
            configured: Vec::new(),
        }
    }

    /// Trusts the certificates of a PEM text, too: what they sign, and servers that present one of them.
    ///
    /// # Errors
    ///
    /// [`TrustError`] when the text is not PEM, when a certificate in it makes no sense, or when there is none.
    pub fn add_pem(&mut self, text: &[u8]) -> Result<(), TrustError> {
        let before = self.configured.len();
        for certificate in CertificateDer::pem_slice_iter(text) {
            let certificate =
                certificate.map_err(|error: pem::Error| TrustError::Pem(error.to_string()))?;
            self.add(certificate)?;
        }
        if self.configured.len() == before {
            return Err(TrustError::Empty);
        }
        Ok(())
    }

    /// Trusts a certificate, too: what it signs, and servers that present it.
    ///
    /// # Errors
    ///
    /// [`TrustError`] when the certificate makes no sense.
    pub fn add(&mut self, certificate: CertificateDer<'static>) -> Result<(), TrustError> {
        self.roots.add(certificate.clone())?;
        self.configured.push(certificate);
        Ok(())
    }

    /// What decides whether a server is trusted. The cryptography is ring's, whatever the process's default is.
    ///
    /// # Errors
    ///
    /// [`TrustError`] when nothing is trusted.
    pub fn verifier(self) -> Result<Arc<dyn ServerCertVerifier>, TrustError> {
        let provider = Arc::new(ring::default_provider());
        let webpki =
            WebPkiServerVerifier::builder_with_provider(Arc::new(self.roots), provider).build();
        Ok(Arc::new(Verifier {
            webpki: webpki.map_err(|_| TrustError::Empty)?,
            configured: self.configured,
        }))
    }

    /// A client that trusts these certificates. The cryptography is ring's, whatever the process's default is.
    ///
    /// # Errors
    ///
    /// [`TrustError`] when nothing is trusted.
    pub fn client(self) -> Result<ConfigBuilder<ClientConfig, WantsClientCert>, TrustError> {
        let provider = Arc::new(ring::default_provider());
        let builder =
            ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
        Ok(builder
            .dangerous() // what the verifier adds is a chain of one certificate, see there
            .with_custom_certificate_verifier(self.verifier()?))
    }
}

/// Verifies as webpki does, and takes a certificate that was configured for a server's although it is an authority's: a
/// chain of one, as in Go's `x509.Certificate.Verify`.
#[derive(Debug)]
struct Verifier {
    webpki: Arc<WebPkiServerVerifier>,
    configured: Vec<CertificateDer<'static>>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verified = self.webpki.verify_server_cert(
            end_entity,
            intermediates,
            server_name,
            ocsp_response,
            now,
        );
        let Err(error) = verified else {
            return verified;
        };
        // Of this kind only after the dates were found good.
        if !is_authority(&error) {
            return Err(error);
        }
        if !self.configured.iter().any(|own| own == end_entity) {
            return Err(Error::Other(OtherError(Arc::new(AuthorityAsServer))));
        }
        verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.webpki
            .verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.webpki
            .verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.webpki.supported_verify_schemes()
    }
}

/// Whether a certificate is refused only because it is an authority's.
fn is_authority(error: &Error) -> bool {
    let Error::InvalidCertificate(CertificateError::Other(OtherError(cause))) = error else {
        return false;
    };
    matches!(
        cause.downcast_ref::<webpki::Error>(),
        Some(webpki::Error::CaUsedAsEndEntity)
    )
}
