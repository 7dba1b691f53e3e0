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

/// Where a registry reports pushes
/// (<https://distribution.github.io/distribution/about/notifications/>).
#[derive(Debug, Clone)]
pub struct Notifications {
    /// The URL of the endpoint.
    pub url: String,
    /// The header `Authorization` of each request.
    pub authorization: String,
}

impl Notifications {
    fn settings(&self) -> Value {
        json!({ "endpoints": [{
            "name": "kube-autorollout",
            "url": self.url,
            "headers": { "Authorization": [self.authorization] },
            "timeout": "1s",
            "threshold": 5,
            "backoff": "1s",
            "ignore": { "actions": ["pull"] },
        }] })
    }
}

/// Writes the registry's configuration file.
pub(super) fn configure(
    folder: &Path,
    host: &str,
    access: Access,
    issuer: Option<&Issuer>,
    notifications: Option<&Notifications>,
) -> io::Result<()> {
    let settings = settings(host, access, issuer, notifications);
    fs::write(folder.join(CONFIGURATION), format!("{settings:#}\n"))
}

/// The content of the registry's configuration file (<https://distribution.github.io/distribution/about/configuration/>).
fn settings(
    host: &str,
    access: Access,
    issuer: Option<&Issuer>,
    notifications: Option<&Notifications>,
) -> Value {
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
        "notifications": notifications.map(Notifications::settings),
    })
}
