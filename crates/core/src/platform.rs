//! Platforms: what an index offers images for, and which of them count.

use std::{fmt, str::FromStr};

use crate::found::Found;

/// An operating system on a processor, in the words of Go (`GOOS`, `GOARCH`), as an image index writes it.
///
/// It is our own because that of `oci-spec` loses `os.version`.
/// See <https://github.com/opencontainers/image-spec/blob/v1.1.1/image-index.md>.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Platform {
    /// The operating system, for example `linux`.
    pub os: Box<str>,
    /// The processor, for example `amd64`.
    pub architecture: Box<str>,
    /// The processor's variant, for example `v7`. A wanted platform without one takes every variant.
    pub variant: Option<Box<str>>,
    /// The version of the operating system, which matters for Windows. A wanted platform without one takes every version.
    pub os_version: Option<Box<str>>,
}

/// What of an image index counts when images are compared.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Platforms {
    /// Every platform, as nothing is known about the nodes.
    Every,
    /// Every platform for now, as that of the node could not be read: what depends on it is a doubt.
    Unread,
    /// These platforms only.
    Of(Vec<Platform>),
}

/// A text that names no platform.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "cannot parse platform {found}: allowed is os/architecture, such as linux/amd64, linux/arm/v7 or windows/amd64:10.0.20348"
)]
pub struct PlatformError {
    /// What was given.
    pub found: Found,
}

impl Platform {
    /// A platform of any variant and version, which is what a node says about itself.
    pub fn new(os: &str, architecture: &str) -> Self {
        Self {
            os: os.into(),
            architecture: architecture.into(),
            variant: None,
            os_version: None,
        }
    }

    /// Whether an image for `offered` is one for this platform.
    pub(crate) fn takes(&self, offered: &Self) -> bool {
        self.architecture == offered.architecture && self.takes_besides_architecture(offered)
    }

    /// Whether this platform can run an image for `offered` although it is made for an older processor.
    ///
    /// Runtimes take such an image when the index has no better one; <https://github.com/containerd/platforms/blob/main/compare.go>.
    pub(crate) fn falls_back_to(&self, offered: &Self) -> bool {
        let older = match &*self.architecture {
            "amd64" => "386",
            "arm64" => "arm",
            _ => return false,
        };
        *offered.architecture == *older && self.os == offered.os
    }

    fn takes_besides_architecture(&self, offered: &Self) -> bool {
        let version = match (&self.os_version, &offered.os_version) {
            // The node's 10.0.20348 takes the image's 10.0.20348.2113.
            (Some(wanted), Some(offered)) => offered
                .strip_prefix(&**wanted)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('.')),
            _ => true,
        };
        let variant = match (&self.variant, &offered.variant) {
            (Some(wanted), Some(offered)) => wanted == offered,
            _ => true,
        };
        self.os == offered.os && version && variant
    }
}

impl FromStr for Platform {
    type Err = PlatformError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || PlatformError {
            found: Found::new(text),
        };
        let (platform, os_version) = match text.split_once(':') {
            Some((platform, version)) => (platform, Some(version)),
            None => (text, None),
        };
        let mut parts = platform.split('/');
        let (Some(os), Some(architecture), variant, None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(error());
        };
        let words = [Some(os), Some(architecture), variant, os_version];
        if !words.into_iter().flatten().all(is_word) {
            return Err(error());
        }
        Ok(Self {
            os: os.into(),
            architecture: architecture.into(),
            variant: variant.map(Into::into),
            os_version: os_version.map(Into::into),
        })
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.os, self.architecture)?;
        if let Some(variant) = &self.variant {
            write!(formatter, "/{variant}")?;
        }
        if let Some(version) = &self.os_version {
            write!(formatter, ":{version}")?;
        }
        Ok(())
    }
}

/// Whether `text` may be one part of a platform.
fn is_word(text: &str) -> bool {
    let allowed =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte);
    !text.is_empty() && text.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn platform(text: &str) -> Platform {
        text.parse().expect("a test's own platform")
    }

    #[test]
    fn a_platform_is_written_as_it_is_read() {
        for text in [
            "linux/amd64",
            "linux/arm/v7",
            "windows/amd64:10.0.20348.2113",
        ] {
            assert_eq!(platform(text).to_string(), text);
        }
    }

    #[test]
    fn other_texts_are_errors_that_name_what_was_found() {
        for text in [
            "",
            "linux",
            "linux/",
            "/amd64",
            "linux/arm/v7/x",
            "Linux/amd64",
            "linux/amd64:",
            "linux amd64",
        ] {
            let error = text.parse::<Platform>().expect_err(text);
            assert_eq!(error.found, Found::new(text));
            assert!(error.to_string().contains("linux/amd64"), "{error}");
        }
    }

    #[test]
    fn a_platform_takes_what_its_node_can_run() {
        let cases = [
            ("linux/amd64", "linux/amd64", true),
            ("linux/amd64", "linux/arm64", false),
            ("linux/amd64", "windows/amd64", false),
            ("linux/arm", "linux/arm/v6", true),
            ("linux/arm/v7", "linux/arm/v7", true),
            ("linux/arm/v7", "linux/arm/v6", false),
            ("linux/arm64/v8", "linux/arm64", true),
            ("windows/amd64", "windows/amd64:10.0.20348.2113", true),
            (
                "windows/amd64:10.0.20348",
                "windows/amd64:10.0.20348.2113",
                true,
            ),
            (
                "windows/amd64:10.0.2034",
                "windows/amd64:10.0.20348.2113",
                false,
            ),
        ];
        for (wanted, offered, expected) in cases {
            assert_eq!(
                platform(wanted).takes(&platform(offered)),
                expected,
                "{wanted} takes {offered}"
            );
        }
    }

    #[test]
    fn a_newer_processor_runs_images_for_the_older_one() {
        assert!(platform("linux/amd64").falls_back_to(&platform("linux/386")));
        assert!(platform("linux/arm64").falls_back_to(&platform("linux/arm/v7")));
        assert!(!platform("linux/386").falls_back_to(&platform("linux/amd64")));
        assert!(!platform("linux/amd64").falls_back_to(&platform("windows/386")));
    }
}
