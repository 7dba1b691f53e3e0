use std::{fs, io, path::Path};

use kube_autorollout_testbed::certificates::Identity;
use rustls::{ClientConfig, ClientConnection, ServerConnection, pki_types::pem::PemObject as _};

use super::*;

/// A configuration with a certificate authority, as in a kubeconfig or as in a mounted file.
fn config(certificate: &str, file: Option<&Path>) -> Config {
    let mut config = Config::new("https://127.0.0.1".parse().expect("an address"));
    let der = CertificateDer::from_pem_slice(certificate.as_bytes()).expect("a certificate");
    config.root_cert = Some(vec![der.to_vec()]);
    config.root_cert_file = file.map(Path::to_owned);
    config
}

/// Performs a handshake between a client and a server on 127.0.0.1.
fn shake_hands(verifier: &Arc<dyn ServerCertVerifier>, server: &Identity) -> Result<(), Error> {
    let client = ClientConfig::builder()
        .dangerous()
        .with_custom_certificate_verifier(Arc::clone(verifier))
        .with_no_client_auth();
    let name = "127.0.0.1".try_into().expect("an address");
    let mut client = ClientConnection::new(Arc::new(client), name)?;
    let mut server = ServerConnection::new(Arc::new(server.server_settings()?))?;
    while client.is_handshaking() || server.is_handshaking() {
        let mut sent = Vec::new();
        client.write_tls(&mut sent).expect("a buffer");
        server.read_tls(&mut sent.as_slice()).expect("a buffer");
        server.process_new_packets()?;
        let mut sent = Vec::new();
        server.write_tls(&mut sent).expect("a buffer");
        client.read_tls(&mut sent.as_slice()).expect("a buffer");
        client.process_new_packets()?;
    }
    Ok(())
}

#[test]
fn a_configured_self_signed_certificate_of_the_api_server_is_trusted() {
    let server = Identity::own_authority().expect("an identity");
    let other = Identity::own_authority().expect("an identity");
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("ca.crt");
    fs::write(&path, &server.certificate).expect("a file");
    for file in [None, Some(&*path)] {
        let verifier = verifier(&config(&server.certificate, file)).expect("a verifier");
        assert_eq!(shake_hands(&verifier, &server), Ok(()));
        assert!(shake_hands(&verifier, &other).is_err());
    }
}

#[test]
fn without_an_authority_only_the_public_roots_are_trusted() {
    let server = Identity::own_authority().expect("an identity");
    let mut config = config(&server.certificate, None);
    config.root_cert = None;
    let verifier = verifier(&config).expect("a verifier");
    assert!(shake_hands(&verifier, &server).is_err());
}

#[test]
fn renewed_certificates_are_trusted_and_invalid_files_are_ignored() {
    let servers = [(); 2].map(|()| Identity::own_authority().expect("an identity"));
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("ca.crt");
    let config = config(&servers[0].certificate, Some(&path));
    for content in [None, Some("no certificate")] {
        if let Some(content) = content {
            fs::write(&path, content).expect("a file");
        }
        assert!(verifier(&config).is_err());
    }
    fs::write(&path, &servers[0].certificate).expect("a file");
    let verifier = verifier(&config).expect("a verifier");
    for (trusted, other) in [(0, 1), (1, 0)] {
        fs::write(&path, &servers[trusted].certificate).expect("a file");
        assert_eq!(shake_hands(&verifier, &servers[trusted]), Ok(()));
        assert!(shake_hands(&verifier, &servers[other]).is_err());
    }
    let spoil: [fn(&Path) -> io::Result<()>; 2] = [
        |path| fs::write(path, "no certificate"),
        |path| fs::remove_file(path),
    ];
    for spoil in spoil {
        spoil(&path).expect("spoiled");
        assert_eq!(shake_hands(&verifier, &servers[1]), Ok(()));
    }
}
