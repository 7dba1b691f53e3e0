//! Verifies the certificate of the API server.
//!
//! This is done as by kube, except in one case in which Go differs from webpki: a configured authority may be the server's own
//! certificate.

use std::{fs, path::PathBuf, sync::Arc};

use kube::Config;
use kube_autorollout_tls::{Trust, TrustError};
use parking_lot::Mutex;
use rustls::{
    DigitallySignedStruct, Error, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    pki_types::{CertificateDer, ServerName, UnixTime},
};
use tracing::warn;

use super::error::Problem;
use crate::error_chain::Chain;

/// The verifier of the API server's certificate. Without a configured authority it trusts the public roots.
///
/// # Errors
///
/// When the configured certificates cannot be used.
pub(super) fn verifier(config: &Config) -> Result<Arc<dyn ServerCertVerifier>, Problem> {
    if let Some(path) = &config.root_cert_file {
        return Ok(Arc::new(FileVerifier::new(path.clone())?));
    }
    let trust = match &config.root_cert {
        Some(certificates) => trust(certificates),
        None => Ok(Trust::public_roots()),
    };
    let verifier = trust.and_then(Trust::verifier);
    verifier.map_err(|error| invalid(&error))
}

fn trust(certificates: &[Vec<u8>]) -> Result<Trust, TrustError> {
    let mut trust = Trust::none();
    for certificate in certificates {
        trust.add(CertificateDer::from(certificate.clone()))?;
    }
    Ok(trust)
}

fn invalid(error: &TrustError) -> Problem {
    let error = Chain(error);
    Problem::new(format!(
        "cannot use the certificate authority of the API server: {error}"
    ))
}

/// Trusts the certificates in a file that Kubernetes renews in place. The file is read for each handshake, which are few.
#[derive(Debug)]
struct FileVerifier {
    path: PathBuf,
    last: Mutex<ValidFile>,
}

/// The last valid content of the file.
#[derive(Debug, Clone)]
struct ValidFile {
    pem: Vec<u8>,
    verifier: Arc<dyn ServerCertVerifier>,
}

impl FileVerifier {
    fn new(path: PathBuf) -> Result<Self, Problem> {
        let pem = fs::read(&path)
            .map_err(|error| Problem::new(format!("cannot read {}: {error}", path.display())))?;
        let last = ValidFile::new(pem).map_err(|error| invalid(&error))?;
        Ok(Self {
            path,
            last: Mutex::new(last),
        })
    }

    /// The verifier for the present content of the file, or for the last valid content.
    fn current(&self) -> Arc<dyn ServerCertVerifier> {
        let pem = fs::read(&self.path);
        let mut last = self.last.lock();
        let path = self.path.display();
        match pem {
            Ok(pem) if pem == last.pem => {}
            Ok(pem) => match ValidFile::new(pem) {
                Ok(renewed) => *last = renewed,
                Err(error) => warn!(
                    "{path} is invalid, its last content is used: {}",
                    Chain(&error)
                ),
            },
            Err(error) => warn!("cannot read {path}, its last content is used: {error}"),
        }
        Arc::clone(&last.verifier)
    }

    fn last(&self) -> Arc<dyn ServerCertVerifier> {
        Arc::clone(&self.last.lock().verifier)
    }
}

impl ValidFile {
    fn new(pem: Vec<u8>) -> Result<Self, TrustError> {
        let mut trust = Trust::none();
        trust.add_pem(&pem)?;
        let verifier = trust.verifier()?;
        Ok(Self { pem, verifier })
    }
}

impl ServerCertVerifier for FileVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.current().verify_server_cert(
            end_entity,
            intermediates,
            server_name,
            ocsp_response,
            now,
        )
    }

    // These do not depend on the trusted certificates, so the file is not read.

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.last()
            .verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.last()
            .verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.last().supported_verify_schemes()
    }
}

#[cfg(test)]
mod tests;
