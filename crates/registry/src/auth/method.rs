//! How a client authenticated.

/// How the client authenticated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AuthMethod {
    /// Without credentials, directly or with a token for everybody.
    Anonymous,
    /// With user name and password.
    Basic,
    /// With a token of the credential's own, or the credential itself as a token.
    Bearer,
}

impl AuthMethod {
    /// The name in lower case.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Anonymous => "anonymous",
            Self::Basic => "basic",
            Self::Bearer => "bearer",
        }
    }
}
