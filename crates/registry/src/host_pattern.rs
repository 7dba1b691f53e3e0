//! Patterns that select registries.

use std::{fmt, str::FromStr};

/// The hosts of Docker Hub: in references, in Docker's configuration, and of the registry itself.
const DOCKER_HUB: [&str; 3] = ["docker.io", "index.docker.io", "registry-1.docker.io"];

/// A glob for a registry's `host[:port]`, in which `*` also matches dots.
///
/// A pattern that matches one host of Docker Hub matches all of them. The brackets of an IPv6 address are literal.
///
/// ```
/// use kube_autorollout_registry::HostPattern;
///
/// let pattern: HostPattern = "*.example.com".parse()?;
/// assert!(pattern.matches("eu.registry.example.com"));
/// assert!(!pattern.matches("eu.registry.example.com:5000"));
/// # Ok::<(), kube_autorollout_registry::HostPatternError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostPattern {
    /// As it was written, in lower case.
    text: String,
    glob: glob::Pattern,
}

/// An invalid pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HostPatternError {
    /// It is empty.
    #[error("the host pattern is empty")]
    Empty,
    /// It has a scheme, a path or whitespace.
    #[error("the host pattern {0:?} must be a host with an optional port, without scheme or path")]
    NotAHost(String),
    /// It is not a glob.
    #[error("the host pattern {pattern:?} is not a glob: {reason}, at position {position}")]
    Glob {
        /// The pattern.
        pattern: String,
        /// What is wrong.
        reason: &'static str,
        /// The byte offset of the mistake.
        position: usize,
    },
}

impl HostPattern {
    /// Whether the pattern matches a registry (`host[:port]`).
    pub fn matches(&self, registry: &str) -> bool {
        let registry = registry.to_ascii_lowercase();
        if DOCKER_HUB.contains(&registry.as_str()) {
            DOCKER_HUB.iter().any(|name| self.glob.matches(name))
        } else {
            self.glob.matches(&registry)
        }
    }

    /// Whether it has no wildcards.
    pub fn is_literal(&self) -> bool {
        let (address, rest) = split_address(&self.text).unwrap_or(("", &self.text));
        !address.contains(['*', '?']) && !rest.contains(['*', '?', '['])
    }
}

/// Splits a pattern into a leading IPv6 address, without its brackets, and the rest. A character class has no colon, as no
/// host has one.
fn split_address(text: &str) -> Option<(&str, &str)> {
    let (address, rest) = text.strip_prefix('[')?.split_once(']')?;
    address.contains(':').then_some((address, rest))
}

impl FromStr for HostPattern {
    type Err = HostPatternError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.is_empty() {
            return Err(HostPatternError::Empty);
        }
        if text.contains(|letter: char| letter == '/' || letter.is_whitespace()) {
            return Err(HostPatternError::NotAHost(text.to_owned()));
        }
        let lower = text.to_ascii_lowercase();
        let glob = match split_address(&lower) {
            Some((address, rest)) => glob::Pattern::new(&format!("[[]{address}[]]{rest}")),
            None => glob::Pattern::new(&lower),
        };
        let glob = glob.map_err(|error| HostPatternError::Glob {
            pattern: text.to_owned(),
            reason: error.msg,
            position: error.pos,
        })?;
        Ok(Self { text: lower, glob })
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_whole_hosts_including_dots() {
        let cases = [
            ("ghcr.io", "ghcr.io", true),
            ("ghcr.io", "GHCR.io", true),
            ("ghcr.io", "ghcr.io.example.com", false),
            ("*.example.com", "a.b.example.com", true),
            ("*.example.com", "example.com", false),
            ("registry.internal:5000", "registry.internal:5000", true),
            ("registry.internal:5000", "registry.internal", false),
            ("registry.internal:*", "registry.internal:5000", true),
            ("docker.io", "index.docker.io", true),
            ("docker.io", "registry-1.docker.io", true),
            ("index.docker.io", "docker.io", true),
            ("docker.io", "mirror.docker.io", false),
            ("*", "anything:1", true),
            ("[fd00::10]:5000", "[fd00::10]:5000", true),
            ("[FD00::10]:5000", "[fd00::10]:5000", true),
            ("[fd00::10]:5000", "[fd00::10]", false),
            ("[fd00::10]:*", "[fd00::10]:5000", true),
            ("[fd00:*]:5000", "[fd00::10]:5000", true),
            ("[fd00:*]:5000", "[fd01::10]:5000", false),
            ("[ab].example.com", "a.example.com", true),
        ];
        for (pattern, registry, expected) in cases {
            let parsed: HostPattern = pattern.parse().expect(pattern);
            assert_eq!(
                parsed.matches(registry),
                expected,
                "{pattern} on {registry}"
            );
        }
    }

    #[test]
    fn a_pattern_without_wildcards_is_literal() {
        let cases = [
            ("ghcr.io", true),
            ("registry.internal:5000", true),
            ("[fd00::10]:5000", true),
            ("[fd00::10]:*", false),
            ("[fd00:*]", false),
            ("*.example.com", false),
            ("registr?", false),
            ("[ab].example.com", false),
        ];
        for (text, literal) in cases {
            let pattern: HostPattern = text.parse().expect(text);
            assert_eq!(pattern.is_literal(), literal, "{text}");
            assert_eq!(pattern.to_string(), text);
        }
    }

    #[test]
    fn invalid_patterns_are_refused_with_a_reason() {
        let cases = [
            ("", "empty"),
            ("https://ghcr.io", "without scheme or path"),
            ("ghcr.io/acme", "without scheme or path"),
            ("ghcr .io", "without scheme or path"),
            ("[a", "not a glob"),
        ];
        for (pattern, reason) in cases {
            let error = pattern.parse::<HostPattern>().expect_err(pattern);
            assert!(error.to_string().contains(reason), "{pattern}: {error}");
        }
    }
}
