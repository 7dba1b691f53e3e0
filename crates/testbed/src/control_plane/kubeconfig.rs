//! Kubeconfig files. They are written as JSON, which every reader of YAML reads.

use std::{fs, io, path::Path};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::json;

/// The server and the credential of a kubeconfig.
pub(super) struct Entry<'a> {
    pub(super) url: &'a str,
    /// The certificate of the server's authority, in PEM.
    pub(super) authority: &'a str,
    pub(super) user: &'a str,
    pub(super) token: &'a str,
    pub(super) namespace: &'a str,
}

/// Writes a kubeconfig file with one context.
pub(super) fn write(file: &Path, entry: &Entry<'_>) -> io::Result<()> {
    let content = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "testbed",
        "contexts": [{
            "name": "testbed",
            "context": {"cluster": "testbed", "user": entry.user, "namespace": entry.namespace},
        }],
        "clusters": [{
            "name": "testbed",
            "cluster": {
                "server": entry.url,
                "certificate-authority-data": STANDARD.encode(entry.authority),
            },
        }],
        "users": [{"name": entry.user, "user": {"token": entry.token}}],
    });
    fs::write(file, format!("{content:#}\n"))
}
