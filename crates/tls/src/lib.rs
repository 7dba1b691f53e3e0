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

/// A set of trusted certificates.
#[derive(Debug, Clone)]
pub struct Trust {
    roots: RootCertStore,
    configured: Vec<CertificateDer<'static>>,
}

/// Why certificates cannot be added or used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrustError {
    /// The text is not PEM.
    #[error("{0}")]
    Pem(String),
    /// There is no certificate.
    #[error("there is no certificate")]
    Empty,
    /// A certificate is malformed, or TLS cannot be configured.
    #[error(transparent)]
    Tls(#[from] Error),
}

/// The server presented the certificate of an authority that is not configured.
#[derive(Debug, thiserror::Error)]
#[error("the server's certificate is one of an authority, and not itself one of those configured")]
struct AuthorityAsServer;

impl Trust {
    /// An empty set, which trusts no server.
    pub fn none() -> Self {
        Self {
            roots: RootCertStore::empty(),
            configured: Vec::new(),
        }
    }

    /// The authorities in Mozilla's root program.
    pub fn public_roots() -> Self {
        Self {
            roots: RootCertStore {
                roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
            },
            configured: Vec::new(),
        }
    }

    /// Adds the certificates of a PEM text: certificates that they sign are trusted, and servers that present one of them.
    ///
    /// # Errors
    ///
    /// [`TrustError`] if the text is not PEM, a certificate is malformed, or there is none.
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

    /// Adds a certificate: certificates that it signs are trusted, and servers that present it.
    ///
    /// # Errors
    ///
    /// [`TrustError`] if the certificate is malformed.
    pub fn add(&mut self, certificate: CertificateDer<'static>) -> Result<(), TrustError> {
        self.roots.add(certificate.clone())?;
        self.configured.push(certificate);
        Ok(())
    }

    /// The verifier of server certificates. It uses ring, whatever the process's default provider is.
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

    /// The configuration of a client that trusts these certificates. It uses ring, whatever the process's default provider is.
    ///
    /// # Errors
    ///
    /// [`TrustError`] when nothing is trusted.
    pub fn client(self) -> Result<ConfigBuilder<ClientConfig, WantsClientCert>, TrustError> {
        let provider = Arc::new(ring::default_provider());
        let builder =
            ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
        Ok(builder
            .dangerous() // see `Verifier`: it only adds chains of one certificate
            .with_custom_certificate_verifier(self.verifier()?))
    }
}

/// Verifies with webpki, and additionally accepts a configured certificate of an authority as a server's: a chain of one, as in
/// Go's `x509.Certificate.Verify`.
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
        // webpki returns this error only after it has checked the dates.
        if !is_authority(&error) {
            return Err(error);
        }
        if !self
            .configured
            .iter()
            .any(|configured| configured == end_entity)
        {
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

/// Whether a certificate is rejected only because it is an authority's.
fn is_authority(error: &Error) -> bool {
    let Error::InvalidCertificate(CertificateError::Other(OtherError(cause))) = error else {
        return false;
    };
    matches!(
        cause.downcast_ref::<webpki::Error>(),
        Some(webpki::Error::CaUsedAsEndEntity)
    )
}
