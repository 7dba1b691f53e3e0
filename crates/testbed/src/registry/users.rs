//! The users that may log in.

/// A user of every registry with authentication.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct User {
    /// The user name.
    pub name: &'static str,
    /// The password; a test's own, so no secret.
    pub password: &'static str,
    /// The password's bcrypt hash, of the least cost, as each request pays for it.
    hash: &'static str,
}

/// A user for most tests.
pub const ALICE: User = User {
    name: "alice",
    password: "alice-secret",
    hash: "$2a$04$JLqSaPwSa2gPfElROL458.EbfP2WOALzeVaSREk7MwY5tqXpov1ei",
};

/// Another user, for tests with two credentials.
pub const BOB: User = User {
    name: "bob",
    password: "bob-secret",
    hash: "$2a$04$fvS9q49Tu8wSulku24JBRuL.5eOYlcGhWDMDcCmq7SS/qrX0h/HCi",
};

const ALL: [User; 2] = [ALICE, BOB];

/// The user of this name and password.
pub(super) fn find(name: &str, password: &str) -> Option<User> {
    ALL.into_iter()
        .find(|user| user.name == name && user.password == password)
}

/// The password file of the registry's `htpasswd` access, which takes bcrypt only.
pub(super) fn password_file() -> String {
    ALL.map(|user| format!("{}:{}\n", user.name, user.hash))
        .concat()
}
