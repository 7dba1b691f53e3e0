//! All that is needed to talk to an API server, wherever it was read.

use std::{fs, io, path::PathBuf};

use http::{HeaderMap, Uri};

use super::credential::Credential;

/// How an API server is reached, whom we trust there and who we are.
pub(super) struct Access {
    /// Where it is.
    pub(super) server: Uri,
    /// The namespace that is meant where none is named.
    pub(super) namespace: Option<String>,
    /// An HTTP proxy on the way to it.
    pub(super) proxy: Option<String>,
    /// Who may be the API server.
    pub(super) authority: Authority,
    /// What its certificate has to be for, if not for the host of its address.
    pub(super) server_name: Option<String>,
    /// The certificate that we show.
    pub(super) identity: Option<Identity>,
    /// What each request shows.
    pub(super) credential: Credential,
    /// As whom we act: headers of each request.
    pub(super) headers: HeaderMap,
}

/// Who may be the API server.
pub(super) enum Authority {
    /// Whom the public roots vouch for.
    Public,
    /// Whom these certificates vouch for.
    Known(Material),
    /// Anyone, as the kubeconfig says.
    Unverified,
}

/// A certificate and its key, in PEM.
pub(super) struct Identity {
    pub(super) certificate: Material,
    pub(super) key: Material,
}

/// PEM that was given, or lies in a file that others may renew.
pub(super) enum Material {
    Given(Vec<u8>),
    File(PathBuf),
}

/// A file could not be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read {}", .path.display())]
pub(super) struct Unreadable {
    path: PathBuf,
    source: io::Error,
}

impl Material {
    /// As it is now.
    ///
    /// # Errors
    ///
    /// [`Unreadable`] when there is no such file.
    pub(super) fn read(&self) -> Result<Vec<u8>, Unreadable> {
        match self {
            Self::Given(pem) => Ok(pem.clone()),
            Self::File(path) => fs::read(path).map_err(|source| Unreadable {
                path: path.clone(),
                source,
            }),
        }
    }
}
