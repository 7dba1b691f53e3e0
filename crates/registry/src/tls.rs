//! Which certificates are trusted.

use std::sync::Arc;

use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
};

use crate::options::OptionsError;

/// A TLS configuration that trusts the public roots and the certificates of these PEM files, each with its name for
/// messages.
///
/// The cryptography provider is named here and not taken from the process, whose default may be another or none.
pub(crate) fn configuration(files: &[(String, &[u8])]) -> Result<ClientConfig, OptionsError> {
    let mut roots = RootCertStore {
        roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
    };
    for (place, pem) in files {
        add(&mut roots, place, pem)?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    Ok(ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| OptionsError::Tls(error.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth())
}

fn add(roots: &mut RootCertStore, place: &str, pem: &[u8]) -> Result<(), OptionsError> {
    let unreadable = |reason: String| OptionsError::Certificate {
        place: place.to_owned(),
        reason,
    };
    let mut found = false;
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|error| unreadable(error.to_string()))?;
        roots
            .add(certificate)
            .map_err(|error| unreadable(error.to_string()))?;
        found = true;
    }
    if found {
        Ok(())
    } else {
        Err(OptionsError::NoCertificate {
            place: place.to_owned(),
        })
    }
}
