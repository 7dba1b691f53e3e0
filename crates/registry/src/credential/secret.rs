//! Credentials.

use std::{
    fmt,
    hash::{Hash, Hasher},
    sync::Arc,
};

use ring::digest::{Context, SHA256};

/// A credential for a registry.
///
/// Credentials are equal if their content is. `Debug` shows the user name only.
#[derive(Clone)]
pub struct Credential {
    pub(crate) secret: Arc<Secret>,
    fingerprint: Fingerprint,
}

/// The content of a credential.
pub(crate) enum Secret {
    Password { username: String, password: String },
    Bearer { token: String },
    Identity { username: String, token: String },
}

/// A hash of the content of credentials.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint(pub(super) [u8; 32]);

impl Credential {
    /// A user name and a password, or a token that replaces the password.
    pub fn password(username: impl Into<String>, password: impl Into<String>) -> Self {
        Self::new(Secret::Password {
            username: username.into(),
            password: password.into(),
        })
    }

    /// A token that is sent to the registry as `Bearer`, without an exchange at a token server.
    pub fn bearer(token: impl Into<String>) -> Self {
        Self::new(Secret::Bearer {
            token: token.into(),
        })
    }

    /// An identity token (an `OAuth2` refresh token), with the user name stored beside it, which may be empty.
    pub fn identity(username: impl Into<String>, token: impl Into<String>) -> Self {
        Self::new(Secret::Identity {
            username: username.into(),
            token: token.into(),
        })
    }

    fn new(secret: Secret) -> Self {
        let (kind, username, hidden) = match &secret {
            Secret::Password { username, password } => ("password", username.as_str(), password),
            Secret::Bearer { token } => ("bearer", "", token),
            Secret::Identity { username, token } => ("identity", username.as_str(), token),
        };
        let fingerprint = Fingerprint::of_parts([kind, username, hidden]);
        Self {
            secret: Arc::new(secret),
            fingerprint,
        }
    }

    /// The fingerprint of the content, whichever provider it is from.
    pub(crate) fn content(&self) -> Fingerprint {
        self.fingerprint
    }
}

impl Fingerprint {
    /// The hash of an identity, for providers: equal for equal `parts` in equal order.
    pub fn of_parts<'p>(parts: impl IntoIterator<Item = &'p str>) -> Self {
        let mut context = Context::new(&SHA256);
        for part in parts {
            // The length distinguishes "ab" + "c" from "a" + "bc".
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part.as_bytes());
        }
        Self::of(context)
    }

    pub(super) fn of(context: Context) -> Self {
        let mut bytes = [0; 32];
        for (to, from) in bytes.iter_mut().zip(context.finish().as_ref()) {
            *to = *from;
        }
        Self(bytes)
    }
}

impl PartialEq for Credential {
    fn eq(&self, other: &Self) -> bool {
        self.fingerprint == other.fingerprint
    }
}

impl Eq for Credential {}

impl Hash for Credential {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.fingerprint.hash(state);
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.secret {
            Secret::Password { username, .. } => write!(formatter, "Password({username:?}, ..)"),
            Secret::Bearer { .. } => formatter.write_str("Bearer(..)"),
            Secret::Identity { username, .. } => write!(formatter, "Identity({username:?}, ..)"),
        }
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The hash of a short password can be brute-forced.
        formatter.write_str("Fingerprint(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::credential::CredentialChain;

    #[test]
    fn credentials_are_distinguished_by_content_and_kind() {
        let one = Credential::password("user", "secret");
        assert_eq!(one, Credential::password("user", "secret"));
        for other in [
            Credential::password("user", "secret2"),
            Credential::password("users", "ecret"),
            Credential::identity("user", "secret"),
            Credential::bearer("secret"),
        ] {
            assert_ne!(one, other);
        }
    }

    #[test]
    fn the_fingerprint_depends_on_order_and_not_on_duplicates() {
        let (a, b) = (Credential::bearer("a"), Credential::bearer("b"));
        let scope = |list: &[&Credential]| {
            let credentials: CredentialChain = list.iter().map(|one| (*one).clone()).collect();
            credentials.fingerprint()
        };
        assert_eq!(scope(&[&a, &b]), scope(&[&a, &b, &a]));
        assert_ne!(scope(&[&a, &b]), scope(&[&b, &a]));
        assert_ne!(scope(&[&a]), CredentialChain::anonymous().fingerprint());
    }

    #[test]
    fn debug_output_shows_no_secret() {
        let credentials: CredentialChain = [
            Credential::password("user", "planted-secret"),
            Credential::bearer("planted-secret"),
            Credential::identity("user", "planted-secret"),
        ]
        .into_iter()
        .collect();
        let shown = format!("{credentials:?}");
        assert!(!shown.contains("planted"), "{shown}");
        assert!(shown.contains("user"), "{shown}");
    }
}
