//! What is read of the entries of kubeconfigs. They hold secrets, so they cannot be printed.

use std::{collections::BTreeMap, path::Path};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use http::{HeaderMap, HeaderName, HeaderValue};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::cluster::{
    access::{Authority, Identity, Material},
    authorization::{basic, bearer},
    credential::{Credential, TokenFile},
    plugin::{Plugin, Program},
};

/// The extension of a cluster that is meant for plugins.
const FOR_PLUGINS: &str = "client.authentication.k8s.io/exec";

#[derive(Deserialize)]
pub(super) struct Context {
    pub(super) cluster: String,
    pub(super) user: Option<String>,
    pub(super) namespace: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Cluster {
    pub(super) server: String,
    pub(super) proxy_url: Option<String>,
    pub(super) tls_server_name: Option<String>,
    insecure_skip_tls_verify: Option<bool>,
    certificate_authority: Option<String>,
    certificate_authority_data: Option<String>,
    extensions: Option<Vec<Extension>>,
}

#[derive(Deserialize)]
struct Extension {
    name: String,
    extension: Value,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct User {
    client_certificate: Option<String>,
    client_certificate_data: Option<String>,
    client_key: Option<String>,
    client_key_data: Option<String>,
    token: Option<String>,
    #[serde(rename = "tokenFile")]
    token_file: Option<String>,
    username: Option<String>,
    password: Option<String>,
    auth_provider: Option<Provider>,
    exec: Option<Exec>,
    r#as: Option<String>,
    as_uid: Option<String>,
    as_groups: Option<Vec<String>>,
    as_user_extra: Option<BTreeMap<String, Vec<String>>>,
}

#[derive(Deserialize)]
struct Provider {
    name: String,
    config: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Exec {
    api_version: String,
    command: String,
    args: Option<Vec<String>>,
    env: Option<Vec<Variable>>,
    provide_cluster_info: Option<bool>,
}

#[derive(Deserialize)]
struct Variable {
    name: String,
    value: String,
}

impl Cluster {
    /// Who may be the API server.
    ///
    /// # Errors
    ///
    /// Why what it says cannot be followed.
    pub(super) fn authority(&self, folder: &Path) -> Result<Authority, String> {
        if self.insecure_skip_tls_verify == Some(true) {
            return Ok(Authority::Unverified);
        }
        let known = self.certificates(folder)?;
        Ok(known.map_or(Authority::Public, Authority::Known))
    }

    fn certificates(&self, folder: &Path) -> Result<Option<Material>, String> {
        material(
            self.certificate_authority_data.as_deref(),
            self.certificate_authority.as_deref(),
            folder,
        )
    }

    /// The cluster, for a plugin that wants to know it.
    ///
    /// # Errors
    ///
    /// When its certificates cannot be read.
    pub(super) fn about(&self, folder: &Path) -> Result<Value, String> {
        let certificates = self.certificates(folder)?;
        let certificates = certificates.map(|certificates| certificates.read());
        let certificates = certificates
            .transpose()
            .map_err(|error| error.to_string())?;
        let mut extensions = self.extensions.iter().flatten();
        let extension = extensions.find(|extension| extension.name == FOR_PLUGINS);
        Ok(json!({
            "server": self.server,
            "proxy-url": self.proxy_url,
            "tls-server-name": self.tls_server_name,
            "insecure-skip-tls-verify": self.insecure_skip_tls_verify,
            "certificate-authority-data": certificates.map(|pem| BASE64_STANDARD.encode(pem)),
            "config": extension.map(|extension| &extension.extension),
        }))
    }
}

impl User {
    /// The certificate that the user shows.
    ///
    /// # Errors
    ///
    /// Why what it says cannot be followed.
    pub(super) fn identity(&self, folder: &Path) -> Result<Option<Identity>, String> {
        let certificate = material(
            self.client_certificate_data.as_deref(),
            self.client_certificate.as_deref(),
            folder,
        )?;
        let key = material(
            self.client_key_data.as_deref(),
            self.client_key.as_deref(),
            folder,
        )?;
        match (certificate, key) {
            (None, None) => Ok(None),
            (Some(certificate), Some(key)) => Ok(Some(Identity { certificate, key })),
            _ => Err("a client certificate and its key belong together".to_owned()),
        }
    }

    /// What the user shows with each request. `about` is the cluster, for a plugin that wants to know it.
    ///
    /// # Errors
    ///
    /// Why what it says cannot be followed.
    pub(super) fn credential(
        self,
        folder: &Path,
        about: impl FnOnce() -> Result<Value, String>,
    ) -> Result<Credential, String> {
        let fixed = |value: Result<HeaderValue, _>| {
            value
                .map(Credential::Fixed)
                .map_err(|error: http::header::InvalidHeaderValue| error.to_string())
        };
        if let Some(provider) = self.auth_provider {
            // Such tokens are not renewed: what renews them is not built into clients any more
            let token = provider
                .config
                .and_then(|mut config| config.remove("id-token"));
            return match (provider.name.as_str(), token) {
                ("oidc", Some(token)) => fixed(bearer(&token)),
                (name, _) => Err(format!(
                    "the auth-provider {name:?} is not supported; use a plugin (exec)"
                )),
            };
        }
        if let (Some(user), Some(password)) = (&self.username, &self.password) {
            return fixed(basic(user, password));
        }
        if let Some(token) = self.token.filter(|token| !token.is_empty()) {
            return fixed(bearer(&token));
        }
        if let Some(file) = self.token_file {
            return Ok(Credential::File(TokenFile::new(folder.join(file))));
        }
        match self.exec {
            Some(exec) => Ok(Credential::Plugin(Plugin::new(
                exec.program(folder, about)?,
            ))),
            None => Ok(Credential::Nothing),
        }
    }

    /// As whom the user acts.
    ///
    /// # Errors
    ///
    /// When a header cannot hold it.
    pub(super) fn headers(&self) -> Result<HeaderMap, String> {
        let one = |name: &str, value: &Option<String>| {
            let value = value.iter().map(|value| (name.to_owned(), value.clone()));
            value.collect::<Vec<_>>()
        };
        let groups = self.as_groups.iter().flatten();
        let groups = groups.map(|group| ("impersonate-group".to_owned(), group.clone()));
        let extra = self.as_user_extra.iter().flatten();
        let extra = extra.flat_map(|(key, values)| {
            let name = format!("impersonate-extra-{}", escaped(key));
            values
                .iter()
                .map(move |value| (name.clone(), value.clone()))
        });
        let all = one("impersonate-user", &self.r#as)
            .into_iter()
            .chain(one("impersonate-uid", &self.as_uid))
            .chain(groups)
            .chain(extra);
        let mut headers = HeaderMap::new();
        for (name, value) in all {
            let name = HeaderName::try_from(name).map_err(|error| error.to_string())?;
            let value = HeaderValue::try_from(value).map_err(|error| error.to_string())?;
            headers.append(name, value);
        }
        Ok(headers)
    }
}

impl Exec {
    fn program(
        self,
        folder: &Path,
        about: impl FnOnce() -> Result<Value, String>,
    ) -> Result<Program, String> {
        let wanted = self.provide_cluster_info == Some(true);
        let cluster = wanted.then(about).transpose()?;
        // A name without a folder is looked up in PATH
        let command = if self.command.contains('/') {
            folder.join(&self.command).into_os_string()
        } else {
            self.command.into()
        };
        let variables = self.env.into_iter().flatten();
        Ok(Program {
            command,
            arguments: self.args.unwrap_or_default(),
            environment: variables
                .map(|variable| (variable.name, variable.value))
                .collect(),
            version: self.api_version,
            cluster,
        })
    }
}

/// Base64 goes before a file.
fn material(
    data: Option<&str>,
    file: Option<&str>,
    folder: &Path,
) -> Result<Option<Material>, String> {
    if let Some(data) = data.filter(|data| !data.is_empty()) {
        let pem = BASE64_STANDARD.decode(data.trim());
        let pem = pem.map_err(|_| "what should be Base64 is not".to_owned())?;
        return Ok(Some(Material::Given(pem)));
    }
    let file = file.filter(|file| !file.is_empty());
    Ok(file.map(|file| Material::File(folder.join(file))))
}

/// A key as part of a header's name
/// (<https://kubernetes.io/docs/reference/access-authn-authz/user-impersonation/>).
fn escaped(key: &str) -> String {
    use std::fmt::Write as _;
    let mut name = String::new();
    for byte in key.bytes() {
        if byte.is_ascii_alphanumeric() || b"!#$&'*+-.^_`|~".contains(&byte) {
            name.push(char::from(byte));
        } else {
            let _ = write!(name, "%{byte:02X}");
        }
    }
    name
}
