//! Docker configurations: the content of pull Secrets and of `~/.docker/config.json`.

use std::collections::BTreeMap;

use base64::{
    Engine as _, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use serde::Deserialize;

use crate::Credential;

/// Docker writes padding, some tools leave it out.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A user name that says: the password is an identity token.
const IDENTITY_USER: &str = "<token>";

/// A Docker configuration that cannot be read. It never shows what the document holds but for its keys.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DockerConfigError {
    /// The document has another shape.
    #[error("not a Docker configuration: malformed at line {line}, column {column}")]
    Shape {
        /// From 1.
        line: usize,
        /// From 1.
        column: usize,
    },
    /// The field `auth` of an entry is not the base64 of `user:password`.
    #[error("the entry {key:?} has an auth that is not the base64 of user:password")]
    Auth {
        /// The entry's key.
        key: String,
    },
}

#[derive(Deserialize)]
struct ConfigJson {
    #[serde(default)]
    auths: BTreeMap<String, Entry>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Entry {
    auth: String,
    username: String,
    password: String,
    identitytoken: String,
    registrytoken: String,
}

/// The entries of `{"auths": {key: entry}}`.
pub(super) fn config_json(
    json: &[u8],
) -> Result<Vec<(String, Option<Credential>)>, DockerConfigError> {
    let config: ConfigJson = serde_json::from_slice(json).map_err(|error| shape(&error))?;
    credentials(config.auths)
}

/// The entries of `{key: entry}`.
pub(super) fn dockercfg(
    json: &[u8],
) -> Result<Vec<(String, Option<Credential>)>, DockerConfigError> {
    credentials(serde_json::from_slice(json).map_err(|error| shape(&error))?)
}

/// What serde says may quote a secret, so only the place is kept.
fn shape(error: &serde_json::Error) -> DockerConfigError {
    DockerConfigError::Shape {
        line: error.line(),
        column: error.column(),
    }
}

fn credentials(
    entries: BTreeMap<String, Entry>,
) -> Result<Vec<(String, Option<Credential>)>, DockerConfigError> {
    let credential = |(key, entry): (String, Entry)| match entry.credential() {
        Ok(credential) => Ok((key, credential)),
        Err(NotBasic) => Err(DockerConfigError::Auth { key }),
    };
    entries.into_iter().map(credential).collect()
}

/// `auth` is something else than the base64 of `user:password`.
struct NotBasic;

impl Entry {
    /// What the entry says, the more particular first; nothing where it is empty.
    fn credential(self) -> Result<Option<Credential>, NotBasic> {
        let (username, password) = if self.auth.is_empty() {
            (self.username, self.password)
        } else {
            basic(&self.auth)?
        };
        Ok(if !self.registrytoken.is_empty() {
            Some(Credential::bearer(self.registrytoken))
        } else if !self.identitytoken.is_empty() {
            Some(Credential::identity(username, self.identitytoken))
        } else if username == IDENTITY_USER {
            Some(Credential::identity(username, password))
        } else if username.is_empty() && password.is_empty() {
            None
        } else {
            Some(Credential::password(username, password))
        })
    }
}

/// Splits at the first colon: passwords may hold more of them.
fn basic(auth: &str) -> Result<(String, String), NotBasic> {
    let decoded = BASE64.decode(auth.trim()).map_err(|_| NotBasic)?;
    let text = String::from_utf8(decoded).map_err(|_| NotBasic)?;
    let (username, password) = text.split_once(':').ok_or(NotBasic)?;
    // Some versions of Docker fill up with zero bytes.
    Ok((
        username.to_owned(),
        password.trim_end_matches('\0').to_owned(),
    ))
}
