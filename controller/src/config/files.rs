//! The files that a configuration names.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use kube_autorollout_hints::{Secret as HintSecret, Sender};
use kube_autorollout_notifications::{SigningKey, Target};
use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
};
use serde_json::{Map, Value};

use super::problem::Message;

/// The allowed URLs of sinks.
pub(super) const TARGET: &str = "an https URL, or an http URL of a host in the cluster";

/// A file with at least one PEM certificate.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct CaFile {
    pub(crate) path: PathBuf,
    /// The content when the configuration was loaded.
    pub(crate) pem: Vec<u8>,
}

impl fmt::Debug for CaFile {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.path, formatter) // the bytes would fill the log
    }
}

/// Reads a file of certificates.
///
/// # Errors
///
/// A message if it cannot be read, or does not contain valid certificates.
pub(super) fn certificates(path: PathBuf) -> Result<CaFile, Message> {
    let pem = read(&path)?;
    match check_certificates(&pem) {
        Ok(()) => Ok(CaFile { path, pem }),
        Err(fault) => Err(unusable(&path, fault, "PEM certificates")),
    }
}

fn check_certificates(pem: &[u8]) -> Result<(), &'static str> {
    let mut store = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|_| "is not valid PEM")?;
        let added = store.add(certificate);
        added.map_err(|_| "contains an invalid certificate")?;
    }
    if store.is_empty() {
        return Err("contains no certificate");
    }
    Ok(())
}

/// Checks the Docker configuration in the mount path of a Secret.
///
/// # Errors
///
/// A message if it cannot be read, or is not a JSON object.
pub(super) fn docker_configuration(mount_path: &Path) -> Result<(), Message> {
    let path = mount_path.join(".dockerconfigjson");
    let object = serde_json::from_slice::<Map<String, Value>>(&read(&path)?);
    let allowed = "a Docker configuration with auths";
    // The error of the parser may contain a secret.
    object
        .map(drop)
        .map_err(|_| unusable(&path, "is not a JSON object", allowed))
}

/// Checks the file of a token.
///
/// # Errors
///
/// A message if it cannot be read, or contains no token.
pub(super) fn token_file(path: &Path) -> Result<(), Message> {
    let fault = match std::str::from_utf8(&read(path)?) {
        Ok(token) if !token.trim().is_empty() => return Ok(()),
        Ok(_) => "is empty",
        Err(_) => "is not UTF-8",
    };
    Err(unusable(path, fault, "a token"))
}

/// Checks the file of a receiver's secret.
///
/// # Errors
///
/// A message if it cannot be read, or contains no secret that this sender can send.
pub(super) fn hint_secret(path: &Path, sender: Sender) -> Result<(), Message> {
    HintSecret::new(sender, &read(path)?)
        .map(drop)
        .map_err(|error| format!("the file {} cannot be used: {error}", path.display()))
}

/// Checks the file of a sink's URL.
///
/// # Errors
///
/// A message if it cannot be read, or contains no URL that is allowed.
pub(super) fn target(path: &Path) -> Result<(), Message> {
    String::from_utf8_lossy(&read(path)?)
        .parse::<Target>()
        .map(drop)
        .map_err(|error| unusable(path, &format!("has {error}"), TARGET))
}

/// Checks the file of a sink's key.
///
/// # Errors
///
/// A message if it cannot be read, or contains no key.
pub(super) fn signing_key(path: &Path) -> Result<(), Message> {
    SigningKey::new(&read(path)?)
        .map(drop)
        .map_err(|_| unusable(path, "is empty", "a key"))
}

fn read(path: &Path) -> Result<Vec<u8>, Message> {
    std::fs::read(path)
        .map_err(|error| format!("the file {} cannot be read: {error}", path.display()))
}

fn unusable(path: &Path, fault: &str, allowed: &str) -> Message {
    format!("the file {} {fault}; allowed: {allowed}", path.display())
}
