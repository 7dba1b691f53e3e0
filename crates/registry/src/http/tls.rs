//! Which certificates are trusted.

use kube_autorollout_tls::{Trust, TrustError};
use rustls::ClientConfig;

use crate::certificate::Certificate;

/// A TLS configuration that trusts the public roots and these certificates.
pub(crate) fn configuration<'a>(
    certificates: impl Iterator<Item = &'a Certificate>,
) -> Result<ClientConfig, TrustError> {
    let mut trust = Trust::public_roots();
    for certificate in certificates {
        trust.add_pem(certificate.pem())?;
    }
    Ok(trust.client()?.with_no_client_auth())
}
