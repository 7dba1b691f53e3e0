use std::{fs, io, path::Path};

use kube_autorollout_testbed::certificates as testbed;
use rustls::{ClientConnection, ServerConnection};

use super::*;
use crate::cluster::access::Material;

/// Authorities that nobody has the keys of, good until 2126. Made with: openssl req -x509 -newkey ec
/// -pkeyopt `ec_paramgen_curve:P-256` -nodes -keyout /dev/null -days 36500 -subj "/CN=test 1"
const AUTHORITIES: [&str; 2] = [
    "-----BEGIN CERTIFICATE-----
MIIBeTCCAR+gAwIBAgIUJgVLbQgh0EpJ0kTjxqhu/YXTea8wCgYIKoZIzj0EAwIw
ETEPMA0GA1UEAwwGdGVzdCAxMCAXDTI2MTEyNTE5Mjg0OFoYDzIxMjYxMTAxMTky
ODQ4WjARMQ8wDQYDVQQDDAZ0ZXN0IDEwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNC
AAQ26Qt4fU2H+Nh/m84hRhGtDYDLHwNOG8TIYc1DammEeKta1ibLmzTAI2s2M5sq
a+sqlJFEbO+2jlR/qUmK3iy+o1MwUTAdBgNVHQ4EFgQUSepTLCHQ25kOaLWOTQuh
/AWPt+4wHwYDVR0jBBgwFoAUSepTLCHQ25kOaLWOTQuh/AWPt+4wDwYDVR0TAQH/
BAUwAwEB/zAKBggqhkjOPQQDAgNIADBFAiEAjBgDypM2rqDqXE8p+LEQ2Y+ToSHB
gWwoGKBf4xROKdICIAJk/9YMiMxbZBnXV8hphmJxCd0m30VujXR2etr/P80a
-----END CERTIFICATE-----
",
    "-----BEGIN CERTIFICATE-----
MIIBeTCCAR+gAwIBAgIUcG6s6NWxw9xiRyX942PH7YO3yKcwCgYIKoZIzj0EAwIw
ETEPMA0GA1UEAwwGdGVzdCAyMCAXDTI2MTEyNTE5Mjg0OFoYDzIxMjYxMTAxMTky
ODQ4WjARMQ8wDQYDVQQDDAZ0ZXN0IDIwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNC
AARavhLd+0AnG4FBE3nVtVzqlJXWanZYTL2uFZsdgFg7+V86PfrzlYQ/3PspEcMT
H+0S6nSX0doK3PZQciYNIXjyo1MwUTAdBgNVHQ4EFgQUY+4amA5FnZL/reiscmrx
uSg0FDwwHwYDVR0jBBgwFoAUY+4amA5FnZL/reiscmrxuSg0FDwwDwYDVR0TAQH/
BAUwAwEB/zAKBggqhkjOPQQDAgNIADBFAiBlStEABDDlS+nVOSPmbpVWeWIMYxmO
NbJZBfGs58HrLwIhAM/i96WVo9Y32+0XluSdkcpwZJmzIIRQYH5Ea9W3aPb+
-----END CERTIFICATE-----
",
];

#[test]
fn renewed_certificates_count_and_spoiled_ones_do_not() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("ca.crt");
    let tls = Tls::new(Authority::Known(Material::File(path.clone())), None);
    assert!(matches!(tls.configuration(None), Err(Error::Unreadable(_))));
    fs::write(&path, "no certificate").expect("a file");
    assert!(matches!(tls.configuration(None), Err(Error::Authority(_))));
    let mut seen: Vec<Arc<ClientConfig>> = Vec::new();
    for authority in AUTHORITIES {
        fs::write(&path, authority).expect("a file");
        let next = tls.configuration(None).expect("a configuration");
        assert!(seen.iter().all(|earlier| !Arc::ptr_eq(earlier, &next)));
        let again = tls.configuration(None).expect("a configuration");
        assert!(Arc::ptr_eq(&again, &next), "sessions are remembered");
        seen.push(next);
    }
    let spoil: [fn(&Path) -> io::Result<()>; 2] = [
        |path| fs::write(path, "no certificate"),
        |path| fs::remove_file(path),
    ];
    for spoil in spoil {
        spoil(&path).expect("spoiled");
        let last = tls.configuration(None).expect("the last one");
        assert!(Arc::ptr_eq(&last, &seen[1]));
    }
}

/// Lets a client and a server on 127.0.0.1 shake hands.
fn shake_hands(client: Arc<ClientConfig>, server: &testbed::Identity) -> Result<(), rustls::Error> {
    let name = "127.0.0.1".try_into().expect("an address");
    let mut client = ClientConnection::new(client, name)?;
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
fn an_api_servers_certificate_that_is_its_own_authority_is_trusted_where_it_is_configured() {
    let server = testbed::Identity::own_authority().expect("an identity");
    let other = testbed::Identity::own_authority().expect("an identity");
    let known = Material::Given(server.certificate.clone().into_bytes());
    let tls = Tls::new(Authority::Known(known), None);
    let client = tls.configuration(None).expect("a configuration");
    assert_eq!(shake_hands(Arc::clone(&client), &server), Ok(()));
    assert!(shake_hands(client, &other).is_err());
}

#[test]
fn a_certificate_without_its_key_is_no_identity() {
    let tls = Tls::new(Authority::Public, None);
    let told = AUTHORITIES[0].as_bytes().to_vec();
    assert!(matches!(
        tls.configuration(Some(told)),
        Err(Error::Identity(_))
    ));
}
