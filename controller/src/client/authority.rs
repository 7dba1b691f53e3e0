//! Whom the client trusts to be the API server.
//!
//! As kube does, but for one case in which Go decides otherwise than webpki: a certificate that is configured as an authority
//! may be the server's own.

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

/// What verifies the API server's certificate; the public roots count where no authority is configured.
///
/// # Errors
///
/// When the configured certificates cannot be used.
pub(super) fn verifier(config: &Config) -> Result<Arc<dyn ServerCertVerifier>, Problem> {
    if let Some(path) = &config.root_cert_file {
        return Ok(Arc::new(Renewed::new(path.clone())?));
    }
    let trust = match &config.root_cert {
        Some(certificates) => of(certificates),
        None => Ok(Trust::public_roots()),
    };
    let verifier = trust.and_then(Trust::verifier);
    verifier.map_err(|error| invalid(&error))
}

fn of(certificates: &[Vec<u8>]) -> Result<Trust, TrustError> {
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

/// Trusts the certificates in a file that Kubernetes renews in place. It is read for each handshake: there are few.
#[derive(Debug)]
struct Renewed {
    path: PathBuf,
    last: Mutex<Last>,
}

/// What the file had last that could be used.
#[derive(Debug, Clone)]
struct Last {
    pem: Vec<u8>,
    verifier: Arc<dyn ServerCertVerifier>,
}

impl Renewed {
    fn new(path: PathBuf) -> Result<Self, Problem> {
        let pem = fs::read(&path)
            .map_err(|error| Problem::new(format!("cannot read {}: {error}", path.display())))?;
        let last = Last::new(pem).map_err(|error| invalid(&error))?;
        Ok(Self {
            path,
            last: Mutex::new(last),
        })
    }

    /// As the file is now; a file that cannot be used leaves the last one.
    fn current(&self) -> Arc<dyn ServerCertVerifier> {
        let pem = fs::read(&self.path);
        let mut last = self.last.lock();
        let path = self.path.display();
        match pem {
            Ok(pem) if pem == last.pem => {}
            Ok(pem) => match Last::new(pem) {
                Ok(renewed) => *last = renewed,
                Err(error) => warn!("{path} is not used, its last content is: {}", Chain(&error)),
            },
            Err(error) => warn!("cannot read {path}, its last content is used: {error}"),
        }
        Arc::clone(&last.verifier)
    }
}

impl Last {
    fn new(pem: Vec<u8>) -> Result<Self, TrustError> {
        let mut trust = Trust::none();
        trust.add_pem(&pem)?;
        let verifier = trust.verifier()?;
        Ok(Self { pem, verifier })
    }
}

impl ServerCertVerifier for Renewed {
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

    // These do not depend on what is trusted.

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.any()
            .verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.any()
            .verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.any().supported_verify_schemes()
    }
}

impl Renewed {
    fn any(&self) -> Arc<dyn ServerCertVerifier> {
        let last = self.last.lock();
        Arc::clone(&last.verifier)
    }
}

#[cfg(test)]
mod tests;
