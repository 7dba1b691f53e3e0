//! What each request to the API server shows.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use http::{HeaderValue, header::InvalidHeaderValue};

use super::{
    authorization::bearer,
    plugin::{self, Plugin},
};

/// Where the value of `Authorization` comes from.
pub(super) enum Credential {
    /// There is none: a certificate may say who we are.
    Nothing,
    /// The same for ever.
    Fixed(HeaderValue),
    /// A token in a file that Kubernetes renews.
    File(TokenFile),
    /// What a program tells.
    Plugin(Plugin),
}

/// Why a request cannot show who we are.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// The token's file cannot be read, and never could.
    #[error("cannot read the token in {}", .path.display())]
    File {
        /// Where it should be.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A header cannot hold it.
    #[error("the token has a character that no header can hold")]
    Token(#[from] InvalidHeaderValue),
    /// The program told none.
    #[error(transparent)]
    Plugin(#[from] plugin::Error),
}

impl Credential {
    /// The value for the next request.
    ///
    /// # Errors
    ///
    /// [`Error`] when there should be one and is none.
    pub(super) async fn header(&self) -> Result<Option<HeaderValue>, Error> {
        match self {
            Self::Nothing => Ok(None),
            Self::Fixed(value) => Ok(Some(value.clone())),
            Self::File(file) => file.header().map(Some),
            Self::Plugin(plugin) => Ok(plugin.grant().await?.header.clone()),
        }
    }

    /// The certificate and key for the next connection, in PEM, if a program tells them.
    ///
    /// # Errors
    ///
    /// [`Error`] when the program fails.
    pub(super) async fn identity(&self) -> Result<Option<Vec<u8>>, Error> {
        match self {
            Self::Plugin(plugin) => Ok(plugin.grant().await?.identity.clone()),
            Self::Nothing | Self::Fixed(_) | Self::File(_) => Ok(None),
        }
    }
}

/// A token in a file. It is read for each request: there are few, and the file is in memory.
pub(super) struct TokenFile {
    path: PathBuf,
    last: Mutex<Option<HeaderValue>>,
}

impl TokenFile {
    pub(super) fn new(path: PathBuf) -> Self {
        Self {
            path,
            last: Mutex::new(None),
        }
    }

    /// A file that is gone leaves the last token (<https://github.com/kubernetes/kubernetes/issues/68164>).
    fn header(&self) -> Result<HeaderValue, Error> {
        let read = read(&self.path);
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        match (read, &*last) {
            (Ok(value), _) => {
                *last = Some(value.clone());
                Ok(value)
            }
            (Err(_), Some(value)) => Ok(value.clone()),
            (Err(error), None) => Err(error),
        }
    }
}

fn read(path: &Path) -> Result<HeaderValue, Error> {
    let token = fs::read_to_string(path).map_err(|source| Error::File {
        path: path.to_owned(),
        source,
    })?;
    Ok(bearer(&token)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_again_and_outlives_its_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("token");
        let file = TokenFile::new(path.clone());
        assert!(matches!(file.header(), Err(Error::File { .. })));
        for token in ["first", "second"] {
            fs::write(&path, format!("{token}\n")).expect("a file");
            let header = file.header().expect("a token");
            assert_eq!(header, format!("Bearer {token}"));
            assert!(header.is_sensitive());
        }
        fs::remove_file(&path).expect("it was there");
        assert_eq!(file.header().expect("the last one"), "Bearer second");
    }
}
