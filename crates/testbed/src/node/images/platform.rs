//! The platform of a node.

/// The operating system and architecture of a node, in the words of Go's `GOOS` and `GOARCH`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Platform {
    /// For example `linux`.
    pub os: String,
    /// For example `amd64`.
    pub architecture: String,
}
