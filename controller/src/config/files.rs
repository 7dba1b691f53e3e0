//! The files that a configuration names.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
};
use serde_json::{Map, Value};

use super::{node::Node, problem::Mistake, reader::Reader};

const CERTIFICATES: &str = "PEM certificates";

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

/// Reads a list of paths and the certificates behind them.
pub(super) fn certificates(reader: &mut Reader<'_>, node: &Node<'_>) -> Option<Vec<CaFile>> {
    reader.each(node, certificate_file)
}

fn certificate_file(reader: &mut Reader<'_>, node: &Node<'_>) -> Option<CaFile> {
    let path = path(reader, node)?;
    let pem = read(reader, node, &path)?;
    match fault_of_certificates(&pem) {
        None => Some(CaFile { path, pem }),
        Some(fault) => {
            let allowed = CERTIFICATES;
            reader.mistake(
                node,
                Mistake::FileContent {
                    path,
                    fault,
                    allowed,
                },
            );
            None
        }
    }
}

fn fault_of_certificates(pem: &[u8]) -> Option<&'static str> {
    let mut store = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let Ok(certificate) = certificate else {
            return Some("is not valid PEM");
        };
        if store.add(certificate).is_err() {
            return Some("holds a certificate that cannot be used");
        }
    }
    store.is_empty().then_some("holds no certificate")
}

/// Checks that the Docker configuration in the folder of a mounted Secret can be used, and gives the folder.
pub(super) fn docker_configuration(reader: &mut Reader<'_>, node: &Node<'_>) -> Option<PathBuf> {
    let folder = path(reader, node)?;
    let path = folder.join(".dockerconfigjson");
    let content = read(reader, node, &path)?;
    if serde_json::from_slice::<Map<String, Value>>(&content).is_ok() {
        return Some(folder);
    }
    let fault = "is not a JSON object"; // what the parser found might be secret
    let allowed = "a Docker configuration with auths";
    reader.mistake(
        node,
        Mistake::FileContent {
            path,
            fault,
            allowed,
        },
    );
    None
}

/// Checks that the file of a token can be used, and gives its path.
pub(super) fn token_file(reader: &mut Reader<'_>, node: &Node<'_>) -> Option<PathBuf> {
    let path = path(reader, node)?;
    let content = read(reader, node, &path)?;
    let fault = match std::str::from_utf8(&content) {
        Ok(token) if !token.trim().is_empty() => return Some(path),
        Ok(_) => "is empty",
        Err(_) => "is not UTF-8",
    };
    let allowed = "a token";
    reader.mistake(
        node,
        Mistake::FileContent {
            path,
            fault,
            allowed,
        },
    );
    None
}

fn path(reader: &mut Reader<'_>, node: &Node<'_>) -> Option<PathBuf> {
    reader.text(node, "the path of a file").map(PathBuf::from)
}

fn read(reader: &mut Reader<'_>, node: &Node<'_>, path: &Path) -> Option<Vec<u8>> {
    match std::fs::read(path) {
        Ok(content) => Some(content),
        Err(error) => {
            let reason = error.to_string();
            let path = path.to_owned();
            reader.mistake(node, Mistake::UnreadableFile { path, reason });
            None
        }
    }
}
