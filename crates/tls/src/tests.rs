use std::{net::IpAddr, time::Duration};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};

use super::*;

/// A certificate of an authority for a server's names, as `openssl req -x509` makes it, and its key.
fn own_authority(change: impl FnOnce(&mut CertificateParams)) -> (rcgen::Certificate, KeyPair) {
    let key = KeyPair::generate().expect("random numbers");
    let names = ["registry.internal".to_owned(), "10.0.0.1".to_owned()];
    let mut parameters = CertificateParams::new(names).expect("names");
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    change(&mut parameters);
    let certificate = parameters.self_signed(&key).expect("a certificate");
    (certificate, key)
}

fn trusting(certificates: &[&rcgen::Certificate]) -> Verifier {
    let mut trust = Trust::public_roots();
    for certificate in certificates {
        trust.add_pem(certificate.pem().as_bytes()).expect("PEM");
    }
    let provider = Arc::new(ring::default_provider());
    let webpki = WebPkiServerVerifier::builder_with_provider(Arc::new(trust.roots), provider);
    Verifier {
        webpki: webpki.build().expect("roots"),
        configured: trust.configured,
    }
}

/// The end of 2026, while certificates of rcgen are good.
fn now() -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_secs(1_796_000_000))
}

fn verify(
    verifier: &Verifier,
    certificate: &rcgen::Certificate,
    server: &ServerName<'static>,
) -> Result<(), String> {
    verifier
        .verify_server_cert(certificate.der(), &[], server, &[], now())
        .map(drop)
        .map_err(|error| error.to_string())
}

fn name(name: &'static str) -> ServerName<'static> {
    name.try_into().expect("a name")
}

#[test]
fn a_certificate_that_is_its_own_authority_is_trusted_for_its_names_where_it_is_configured() {
    let (certificate, _) = own_authority(|_| ());
    let trusting = trusting(&[&certificate]);
    assert_eq!(
        verify(&trusting, &certificate, &name("registry.internal")),
        Ok(())
    );
    let address: IpAddr = "10.0.0.1".parse().expect("an address");
    assert_eq!(verify(&trusting, &certificate, &address.into()), Ok(()));
    let error = verify(&trusting, &certificate, &name("other.internal")).expect_err("its name");
    assert!(error.contains("not valid for name"), "{error}");
}

#[test]
fn an_authority_that_is_not_configured_itself_is_no_server() {
    let (configured, key) = own_authority(|_| ());
    let (stranger, _) = own_authority(|_| ());
    // signed by one that is trusted, which may so trust authorities and no servers
    let mut parameters = CertificateParams::new(["registry.internal".to_owned()]).expect("names");
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let issuer = Issuer::new(CertificateParams::default(), &key);
    let below_key = KeyPair::generate().expect("random numbers");
    let below = parameters.signed_by(&below_key, &issuer).expect("signed");
    let trusting = trusting(&[&configured]);
    for certificate in [stranger, below] {
        let error = verify(&trusting, &certificate, &name("registry.internal"));
        let error = error.expect_err("not configured");
        assert!(
            error.contains("not itself one of those configured"),
            "{error}"
        );
    }
}

#[test]
fn a_configured_certificate_is_trusted_between_its_dates_only() {
    let (expired, _) = own_authority(|parameters| {
        parameters.not_after = date_time_ymd(2026, 1, 1);
    });
    let (early, _) = own_authority(|parameters| {
        parameters.not_before = date_time_ymd(2030, 1, 1);
    });
    for (certificate, reason) in [(expired, "expired"), (early, "not valid yet")] {
        let trusting = trusting(&[&certificate]);
        let error = verify(&trusting, &certificate, &name("registry.internal"));
        let error = error.expect_err(reason);
        assert!(error.contains(reason), "{error}");
    }
}

#[test]
fn what_is_no_certificate_says_why() {
    let cases: [(&[u8], &str); 3] = [
        (b"", "there is no certificate"),
        (b"-----BEGIN CERTIFICATE-----\n!\n", "end"),
        (
            b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
            "invalid peer certificate",
        ),
    ];
    for (text, expected) in cases {
        let error = Trust::none().add_pem(text).expect_err(expected).to_string();
        assert!(error.contains(expected), "{error}");
    }
    assert!(matches!(Trust::none().client(), Err(TrustError::Empty)));
}
