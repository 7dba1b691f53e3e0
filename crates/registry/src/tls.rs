//! Which certificates are trusted.

use kube_autorollout_tls::{Trust, TrustError};
use rustls::ClientConfig;

use crate::options::OptionsError;

/// A TLS configuration that trusts the public roots and the certificates of these PEM files, each with its name for
/// messages.
pub(crate) fn configuration(files: &[(String, &[u8])]) -> Result<ClientConfig, OptionsError> {
    let mut trust = Trust::public_roots();
    for (place, pem) in files {
        trust
            .add_pem(pem)
            .map_err(|error| unusable(place, &error))?;
    }
    let client = trust
        .client()
        .map_err(|error| OptionsError::Tls(error.to_string()))?;
    Ok(client.with_no_client_auth())
}

fn unusable(place: &str, error: &TrustError) -> OptionsError {
    let place = place.to_owned();
    match error {
        TrustError::Empty => OptionsError::NoCertificate { place },
        error => OptionsError::Certificate {
            place,
            reason: error.to_string(),
        },
    }
}
