//! Which images a receiver may hint.

use crate::hint::Hint;

/// Globs over `registry/repository`, in which `*` also crosses slashes. None permit every image.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ImagePatterns {
    globs: Vec<glob::Pattern>,
}

/// A text that is no pattern over images.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidPattern {
    /// It is no glob.
    #[error("not a glob: {0}")]
    Glob(&'static str),
    /// Nothing would match.
    #[error("write registry/repository, such as ghcr.io/team/* or docker.io/library/nginx")]
    NoRegistry,
    /// A tag or a digest; hints are permitted for all tags.
    #[error("leave the tag and the digest out")]
    Tag,
    /// No image would match.
    #[error("images are lower-case")]
    Uppercase,
    /// References have another name for it.
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

    /// Whether a receiver with these patterns may hint this image.
    pub fn permit(&self, hint: &Hint) -> bool {
        let name = format!("{}/{}", hint.registry, hint.repository);
        self.globs.is_empty() || self.globs.iter().any(|glob| glob.matches(&name))
    }
}
