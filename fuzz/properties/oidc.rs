//! Properties of checking tokens, and of parsing documents of issuers.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use kube_autorollout_hints::oidc::{Check, OidcSettings, Verifier};

const ISSUER: &str = "https://issuer.example.org";

/// `data` is a token, a line feed, and the keys of the issuer. The private keys are unknown, so no token is
/// accepted.
pub(crate) fn check(data: &[u8]) {
    let end = data
        .iter()
        .position(|byte| *byte == b'\n')
        .unwrap_or(data.len());
    let (token, keys) = (&data[..end], data.get(end + 1..).unwrap_or_default());
    let Ok(token) = str::from_utf8(token) else {
        return;
    };
    let mut verifier = Verifier::new(OidcSettings {
        issuer: ISSUER.to_owned(),
        audience: "kube-autorollout".to_owned(),
        claims: [("sub".to_owned(), "team".to_owned())].into(),
    });
    let discovery = format!(r#"{{"issuer": "{ISSUER}", "jwks_uri": "{ISSUER}/jwks"}}"#);
    let start = Instant::now();
    for hour in 0..2 {
        let instant = start + Duration::from_secs(hour * 60 * 60);
        match verifier.check(token, instant, Timestamp::UNIX_EPOCH) {
            Ok(Check::Fetch(fetch)) => {
                let keys_at = verifier.fetched(&fetch, Some(discovery.as_bytes()), instant);
                let keys_at = keys_at.expect("a good document").expect("the keys");
                let read = verifier.fetched(&keys_at, Some(keys), instant);
                assert!(matches!(read, Ok(None) | Err(_)));
                let again = verifier.check(token, instant, Timestamp::UNIX_EPOCH);
                assert!(
                    !matches!(
                        again,
                        Ok(Check::Accepted(_) | Check::Fetch(_) | Check::Wait)
                    ),
                    "{again:?}"
                );
            }
            Ok(other) => panic!("{other:?}"),
            Err(error) => assert!(!error.to_string().contains(char::is_control)),
        }
    }
}
