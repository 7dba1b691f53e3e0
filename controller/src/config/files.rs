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

use super::problem::Mistake;

/// Where messages can be sent to.
pub(super) const TARGET: &str = "an https URL, or an http URL of a host in the cluster";

/// A file with at least one PEM certificate.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct CaFile {
    /// Where it was read.
    pub(crate) path: PathBuf,
    /// What it held then.
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
/// The mistake of naming it: it cannot be read, or has no certificate that can be used.
pub(super) fn certificates(path: PathBuf) -> Result<CaFile, Mistake> {
    let pem = read(&path)?;
    match fault_of_certificates(&pem) {
        None => Ok(CaFile { path, pem }),
        Some(fault) => Err(content(&path, fault, "PEM certificates")),
    }
}

fn fault_of_certificates(pem: &[u8]) -> Option<&'static str> {
    let mut store = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let Ok(certificate) = certificate else {
            return Some("is not valid PEM");
        };
        if store.add(certificate).is_err() {
            return Some("contains an invalid certificate");
        }
    }
    store.is_empty().then_some("contains no certificate")
}

/// Checks that the Docker configuration in the mount path of a Secret can be used.
///
/// # Errors
///
/// The mistake of naming it: it cannot be read, or is none.
pub(super) fn docker_configuration(folder: &Path) -> Result<(), Mistake> {
    let path = folder.join(".dockerconfigjson");
    match serde_json::from_slice::<Map<String, Value>>(&read(&path)?) {
        Ok(_) => Ok(()),
        // What the parser found might be secret.
        Err(_) => Err(content(
            &path,
            "is not a JSON object",
            "a Docker configuration with auths",
        )),
    }
}

/// Checks that the file of a token can be used.
///
/// # Errors
///
/// The mistake of naming it: it cannot be read, or has no token.
pub(super) fn token_file(path: &Path) -> Result<(), Mistake> {
    let fault = match std::str::from_utf8(&read(path)?) {
        Ok(token) if !token.trim().is_empty() => return Ok(()),
        Ok(_) => "is empty",
        Err(_) => "is not UTF-8",
    };
    Err(content(path, fault, "a token"))
}

/// Checks the file of a receiver's secret.
///
/// # Errors
///
/// The mistake of naming it: it cannot be read, or has no secret that this sender can send.
pub(super) fn hint_secret(path: &Path, sender: Sender) -> Result<(), Mistake> {
    let secret = HintSecret::new(sender, &read(path)?);
    secret
        .map(drop)
        .map_err(|error| format!("the file {} cannot be used: {error}", path.display()))
}

/// Checks the file of a sink's URL.
///
/// # Errors
///
/// The mistake of naming it: it cannot be read, or has no URL that messages can be sent to.
pub(super) fn target(path: &Path) -> Result<(), Mistake> {
    let read = read(path)?;
    let text = String::from_utf8_lossy(&read);
    let target = text.parse::<Target>();
    target.map(drop).map_err(|error| {
        let fault = format!("has {error}");
        content(path, &fault, TARGET)
    })
}

/// Checks the file of a sink's key.
///
/// # Errors
///
/// The mistake of naming it: it cannot be read, or has no key.
pub(super) fn signing_key(path: &Path) -> Result<(), Mistake> {
    let key = SigningKey::new(&read(path)?);
    key.map(drop)
        .map_err(|_| content(path, "is empty", "a key"))
}

fn read(path: &Path) -> Result<Vec<u8>, Mistake> {
    std::fs::read(path)
        .map_err(|error| format!("the file {} cannot be read: {error}", path.display()))
}

fn content(path: &Path, fault: &str, allowed: &str) -> Mistake {
    format!("the file {} {fault}; allowed: {allowed}", path.display())
}
