//! Docker configurations: the content of pull Secrets and of `~/.docker/config.json`, parsed like the kubelet's Go code.

use std::{fmt, marker::PhantomData};

use base64::{
    Engine as _, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, Visitor},
};
use serde_json::Value;

use crate::credential::Credential;

/// As Go's `base64.StdEncoding` and `RawStdEncoding`: with or without padding, and with any trailing bits.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// The user name of entries whose password is an identity token.
const IDENTITY_USER: &str = "<token>";

/// A malformed Docker configuration. The message shows no content but keys.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DockerConfigError {
    /// The document is malformed.
    #[error("not a Docker configuration: malformed at line {line}, column {column}")]
    Shape {
        /// From 1.
        line: usize,
        /// From 1.
        column: usize,
    },
    /// The `auth` of an entry is not the base64 of `user:password`.
    #[error("the entry {key:?} has an auth that is not the base64 of user:password")]
    Auth {
        /// The entry's key.
        key: String,
    },
}

/// Why a Docker configuration has no credential for a registry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MissingCredential {
    /// The entry has neither a password nor a token.
    #[error("its entry {key:?} is empty")]
    Empty {
        /// The key, as written.
        key: String,
    },
    /// The user name or the password is not UTF-8, which the kubelet accepts and this crate does not.
    #[error("the user name or password of its entry {key:?} is not UTF-8")]
    NotUtf8 {
        /// The key, as written.
        key: String,
    },
    /// The credential is in a helper program (`credsStore`, `credHelpers`), which neither the kubelet nor this crate runs.
    #[error("its credentials are in the credential helper {name:?}, which is not supported")]
    Helper {
        /// The helper's name, without `docker-credential-`.
        name: String,
    },
}

/// The credential of an entry.
pub(super) type EntryResult = Result<Credential, MissingCredential>;

/// A parsed document.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct DockerConfig {
    /// By key, as written.
    pub(super) entries: Vec<(String, EntryResult)>,
    /// The helper for all registries.
    pub(super) store: Option<String>,
}

/// Parses `{"auths": {key: entry}}`.
pub(super) fn config_json(json: &[u8]) -> Result<DockerConfig, DockerConfigError> {
    let config: ConfigJson = read(json)?;
    let mut entries = entries(config.auths)?;
    let helpers = config.helpers.into_iter();
    entries.extend(helpers.map(|(key, name)| (key, Err(MissingCredential::Helper { name }))));
    Ok(DockerConfig {
        entries,
        store: config.store,
    })
}

/// Parses `{key: entry}`.
pub(super) fn dockercfg(json: &[u8]) -> Result<DockerConfig, DockerConfigError> {
    Ok(DockerConfig {
        entries: entries(read(json)?)?,
        store: None,
    })
}

fn read<T: Fields>(json: &[u8]) -> Result<T, DockerConfigError> {
    // Go replaces invalid UTF-8, too.
    let text = String::from_utf8_lossy(json);
    match serde_json::from_str(&text) {
        Ok(Go(value)) => Ok(value),
        // The message of serde may quote a secret.
        Err(error) => Err(DockerConfigError::Shape {
            line: error.line(),
            column: error.column(),
        }),
    }
}

fn entries(auths: Auths) -> Result<Vec<(String, EntryResult)>, DockerConfigError> {
    let entries = auths.0.into_iter();
    entries
        .map(|(key, entry)| match entry.credential() {
            Ok(Some(credential)) => Ok((key, Ok(credential))),
            Ok(None) => Ok((key.clone(), Err(MissingCredential::Empty { key }))),
            Err(AuthError::NotUtf8) => Ok((key.clone(), Err(MissingCredential::NotUtf8 { key }))),
            Err(AuthError::NotBasic) => Err(DockerConfigError::Auth { key }),
        })
        .collect()
}

/// A struct as in Go's `encoding/json`.
trait Fields: Default {
    /// Consumes the value of a field from `map`, whether or not the field is known.
    fn set<'de, A: MapAccess<'de>>(&mut self, key: String, map: &mut A) -> Result<(), A::Error>;
}

/// Parses like Go: null is ignored, and the last of repeated fields wins
/// (<https://pkg.go.dev/encoding/json#Unmarshal>).
struct Go<T>(T);

impl<'de, T: Fields> Deserialize<'de> for Go<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(GoVisitor(PhantomData))
    }
}

struct GoVisitor<T>(PhantomData<T>);

impl<'de, T: Fields> Visitor<'de> for GoVisitor<T> {
    type Value = Go<T>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object or null")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Go(T::default()))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut value = T::default();
        while let Some(key) = map.next_key()? {
            value.set(key, &mut map)?;
        }
        Ok(Go(value))
    }
}

#[derive(Default)]
struct ConfigJson {
    auths: Auths,
    store: Option<String>,
    helpers: Vec<(String, String)>,
}

impl Fields for ConfigJson {
    fn set<'de, A: MapAccess<'de>>(&mut self, key: String, map: &mut A) -> Result<(), A::Error> {
        match key.to_ascii_lowercase().as_str() {
            "auths" => {
                let Go(auths) = map.next_value::<Go<Auths>>()?;
                self.auths.0.extend(auths.0);
            }
            // Unknown to the kubelet, so no type is an error.
            "credsstore" => self.store = text(&map.next_value()?),
            "credhelpers" => {
                let helpers: Value = map.next_value()?;
                let helpers = helpers.as_object().into_iter().flatten();
                let named = helpers.filter_map(|(key, name)| Some((key.clone(), text(name)?)));
                self.helpers.extend(named);
            }
            _ => drop(map.next_value::<IgnoredAny>()?),
        }
        Ok(())
    }
}

/// A string that is not empty.
fn text(value: &Value) -> Option<String> {
    let text = value.as_str().filter(|text| !text.is_empty());
    text.map(str::to_owned)
}

#[derive(Default)]
struct Auths(Vec<(String, Entry)>);

impl Fields for Auths {
    fn set<'de, A: MapAccess<'de>>(&mut self, key: String, map: &mut A) -> Result<(), A::Error> {
        let Go(entry) = map.next_value()?;
        self.0.retain(|(known, _)| *known != key);
        self.0.push((key, entry));
        Ok(())
    }
}

#[derive(Default)]
struct Entry {
    auth: String,
    username: String,
    password: String,
    identity_token: String,
    registry_token: String,
}

impl Fields for Entry {
    fn set<'de, A: MapAccess<'de>>(&mut self, key: String, map: &mut A) -> Result<(), A::Error> {
        let field = match key.to_ascii_lowercase().as_str() {
            "auth" => &mut self.auth,
            "username" => &mut self.username,
            "password" => &mut self.password,
            // These two are unknown to the kubelet, so no type is an error.
            "identitytoken" => {
                self.identity_token = text(&map.next_value()?).unwrap_or_default();
                return Ok(());
            }
            "registrytoken" => {
                self.registry_token = text(&map.next_value()?).unwrap_or_default();
                return Ok(());
            }
            _ => {
                map.next_value::<IgnoredAny>()?;
                return Ok(());
            }
        };
        if let Some(text) = map.next_value()? {
            *field = text;
        }
        Ok(())
    }
}

/// Why an `auth` has no user name and password.
enum AuthError {
    /// It is not the base64 of `user:password`.
    NotBasic,
    NotUtf8,
}

impl Entry {
    /// The credential, the most specific field first; none if the entry is empty.
    fn credential(self) -> Result<Option<Credential>, AuthError> {
        let (username, password) = if self.auth.is_empty() {
            (self.username, self.password)
        } else {
            basic(&self.auth)?
        };
        Ok(if !self.registry_token.is_empty() {
            Some(Credential::bearer(self.registry_token))
        } else if !self.identity_token.is_empty() {
            Some(Credential::identity(username, self.identity_token))
        } else if username == IDENTITY_USER {
            Some(Credential::identity(username, password))
        } else if username.is_empty() && password.is_empty() {
            None
        } else {
            Some(Credential::password(username, password))
        })
    }
}

/// Splits at the first colon: passwords may contain more.
fn basic(auth: &str) -> Result<(String, String), AuthError> {
    // Some tools wrap long lines; Go's decoder skips the line breaks.
    let auth = auth.trim().replace(['\r', '\n'], "");
    let decoded = BASE64.decode(auth).map_err(|_| AuthError::NotBasic)?;
    let mut parts = decoded.splitn(2, |byte| *byte == b':');
    let (Some(username), Some(password)) = (parts.next(), parts.next()) else {
        return Err(AuthError::NotBasic);
    };
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).map_err(|_| AuthError::NotUtf8);
    // Some versions of Docker pad with zero bytes.
    Ok((
        text(username)?,
        text(password)?.trim_end_matches('\0').to_owned(),
    ))
}
