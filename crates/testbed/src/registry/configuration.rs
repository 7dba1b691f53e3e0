//! The registry's configuration file.

use std::{fs, io, path::Path};

use serde_json::{Value, json};

use super::{issuer::Issuer, token};

/// Where the registry keeps its content, below its folder; its own layout is
/// <https://distribution.github.io/distribution/storage-drivers/>.
pub(super) const STORAGE: &str = "storage";

/// The name of its configuration file in its folder.
pub(super) const CONFIGURATION: &str = "config.yml";

/// How a registry is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// HTTP, for everybody.
    Plain,
    /// HTTPS, with a user name and password (`Basic`).
    Htpasswd,
    /// HTTPS, with tokens (`Bearer`) from an [`Issuer`].
    Token,
}

/// Writes the registry's configuration file.
pub(super) fn configure(
    folder: &Path,
    host: &str,
    access: Access,
    issuer: Option<&Issuer>,
) -> io::Result<()> {
    let settings = settings(host, access, issuer);
    fs::write(folder.join(CONFIGURATION), format!("{settings:#}\n"))
}

/// What the registry's configuration file says (<https://distribution.github.io/distribution/about/configuration/>).
fn settings(host: &str, access: Access, issuer: Option<&Issuer>) -> Value {
    let tls = (access != Access::Plain)
        .then(|| json!({"certificate": "server.crt", "key": "server.key"}));
    let auth = match (access, issuer) {
        (Access::Htpasswd, _) => json!({"htpasswd": {"realm": "testbed", "path": "htpasswd"}}),
        (Access::Token, Some(issuer)) => json!({"token": {
            "realm": issuer.realm(),
            "service": token::SERVICE,
            "issuer": token::ISSUER,
            "jwks": "jwks.json",
        }}),
        _ => Value::Null,
    };
    json!({
        "version": "0.1",
        "log": {"level": "warn", "accesslog": {"disabled": false}},
        "storage": {
            "filesystem": {"rootdirectory": STORAGE},
            "delete": {"enabled": true},
            "maintenance": {"uploadpurging": {"enabled": false}},
        },
        "http": {"addr": host, "secret": "testbed", "tls": tls},
        "auth": auth,
    })
}
