//! The way to the API server that Kubernetes gives every pod
//! (<https://kubernetes.io/docs/tasks/run-application/access-api-from-pod/>).

use std::{collections::BTreeMap, net::Ipv6Addr, path::Path};

use http::{HeaderMap, Uri};

use super::{
    access::{Access, Authority, Material, Unreadable},
    credential::{Credential, TokenFile},
};

/// Where Kubernetes mounts what a `ServiceAccount` needs.
pub(super) const MOUNTED: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// Why this is no pod that may talk to the API server.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// The variables are not there.
    #[error("KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT do not tell an address")]
    Address,
    /// The certificates are not there.
    #[error(transparent)]
    Authority(#[from] Unreadable),
}

/// As the environment and the mounted files say.
///
/// # Errors
///
/// [`Error`] when this is not a pod, or one without a `ServiceAccount`.
pub(super) fn read(environment: &BTreeMap<String, String>) -> Result<Access, Error> {
    let server = address(environment).ok_or(Error::Address)?;
    let folder = Path::new(MOUNTED);
    let authority = Material::File(folder.join("ca.crt"));
    authority.read()?;
    Ok(Access {
        server,
        namespace: None,
        proxy: None,
        authority: Authority::Known(authority),
        server_name: None,
        identity: None,
        credential: Credential::File(TokenFile::new(folder.join("token"))),
        headers: HeaderMap::new(),
    })
}

fn address(environment: &BTreeMap<String, String>) -> Option<Uri> {
    let host = environment.get("KUBERNETES_SERVICE_HOST")?;
    let port: u16 = environment.get("KUBERNETES_SERVICE_PORT")?.parse().ok()?;
    let address = if host.parse::<Ipv6Addr>().is_ok() {
        format!("https://[{host}]:{port}")
    } else {
        format!("https://{host}:{port}")
    };
    address.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_made_of_the_two_variables() {
        let cases = [
            ("10.0.0.1", "443", Some("https://10.0.0.1:443/")),
            ("fd00::1", "6443", Some("https://[fd00::1]:6443/")),
            (
                "kubernetes.test",
                "443",
                Some("https://kubernetes.test:443/"),
            ),
            ("10.0.0.1", "tcp", None),
            ("a b", "443", None),
        ];
        for (host, port, expected) in cases {
            let environment = BTreeMap::from(
                [("HOST", host), ("PORT", port)]
                    .map(|(name, value)| (format!("KUBERNETES_SERVICE_{name}"), value.to_owned())),
            );
            let address = address(&environment).map(|uri| uri.to_string());
            assert_eq!(address.as_deref(), expected, "{host} {port}");
        }
        assert_eq!(address(&BTreeMap::new()), None);
    }
}
