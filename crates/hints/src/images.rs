//! The images that a receiver accepts hints for.

use crate::hint::Hint;

/// Globs over `registry/repository`, in which `*` also matches slashes. Without any, every image is permitted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ImagePatterns {
    globs: Vec<glob::Pattern>,
}

/// Why a pattern is invalid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidPattern {
    /// It is not a glob.
    #[error("not a glob: {0}")]
    Glob(&'static str),
    /// It has no registry, so nothing would match.
    #[error("write registry/repository, such as ghcr.io/team/* or docker.io/library/nginx")]
    NoRegistry,
    /// It has a tag or digest, but hints are permitted for all tags.
    #[error("leave the tag and the digest out")]
    Tag,
    /// It has upper-case letters, so nothing would match.
    #[error("images are lower-case")]
    Uppercase,
    /// It has a host of Docker Hub that references do not use.
    #[error("write docker.io for Docker Hub")]
    Alias,
}

impl ImagePatterns {
    /// Adds a pattern.
    ///
    /// # Errors
    ///
    /// [`InvalidPattern`], with what to write instead.
    pub fn add(&mut self, pattern: &str) -> Result<(), InvalidPattern> {
        let (registry, repository) = pattern.split_once('/').unwrap_or((pattern, ""));
        let is_registry = registry.contains(['.', ':', '*', '?', '[']) || registry == "localhost";
        let has_scheme = repository.starts_with('/');
        let is_everything = pattern == "*" || pattern == "**";
        if pattern.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return Err(InvalidPattern::Uppercase);
        }
        if matches!(registry, "index.docker.io" | "registry-1.docker.io") {
            return Err(InvalidPattern::Alias);
        }
        if !is_everything && (!is_registry || repository.is_empty() || has_scheme) {
            return Err(InvalidPattern::NoRegistry);
        }
        if repository.contains([':', '@']) {
            return Err(InvalidPattern::Tag);
        }
        let glob = glob::Pattern::new(pattern).map_err(|error| InvalidPattern::Glob(error.msg))?;
        self.globs.push(glob);
        Ok(())
    }

    /// Whether hints for this image are permitted.
    pub fn permit(&self, hint: &Hint) -> bool {
        let name = format!("{}/{}", hint.registry, hint.repository);
        self.globs.is_empty() || self.globs.iter().any(|glob| glob.matches(&name))
    }
}
