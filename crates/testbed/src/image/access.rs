//! How one registry host is reached.

use std::fmt;

/// A registry host with what is needed to talk to it.
///
/// Without a CA certificate the host is asked over plain HTTP.
#[derive(Clone)]
pub struct RegistryAccess {
    pub(super) host: String,
    pub(super) ca_certificate: Option<Vec<u8>>,
    /// A user name and a password.
    pub(super) login: Option<(String, String)>,
}

impl RegistryAccess {
    /// A registry at `host` (`name:port`) that speaks plain HTTP without authentication.
    pub fn new(host: impl Into<String>) -> Self {
        Self {
            host: host.into(),
            ca_certificate: None,
            login: None,
        }
    }

    /// Over HTTPS, trusting the certificates of this PEM file only.
    #[must_use]
    pub fn with_ca(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.ca_certificate = Some(pem.into());
        self
    }

    /// With a user name and a password, for Basic authentication or in exchange for a token.
    #[must_use]
    pub fn with_credentials(
        mut self,
        user: impl Into<String>,
        password: impl Into<String>,
    ) -> Self {
        self.login = Some((user.into(), password.into()));
        self
    }

    /// The host as image references name it.
    pub fn host(&self) -> &str {
        &self.host
    }

    pub(super) const fn scheme(&self) -> &'static str {
        if self.ca_certificate.is_some() {
            "https"
        } else {
            "http"
        }
    }
}

impl<T: Into<String>> From<T> for RegistryAccess {
    fn from(host: T) -> Self {
        Self::new(host)
    }
}

impl fmt::Debug for RegistryAccess {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("RegistryAccess")
            .field("host", &self.host)
            .field("scheme", &self.scheme())
            .field("user", &self.login.as_ref().map(|(user, _)| user))
            .finish_non_exhaustive()
    }
}
