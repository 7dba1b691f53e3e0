//! Platforms of images and nodes.

use std::{fmt, str::FromStr};

use crate::quoted::Quoted;

/// An operating system and architecture, in Go's terms (`GOOS`, `GOARCH`), as in an image index.
///
/// The type of `oci-spec` is not used because it loses `os.version`.
/// See <https://github.com/opencontainers/image-spec/blob/v1.1.1/image-index.md>.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Platform {
    /// The operating system, for example `linux`.
    pub os: Box<str>,
    /// The architecture, for example `amd64`.
    pub architecture: Box<str>,
    /// The variant of the architecture, for example `v7`. A wanted platform without one accepts every variant.
    pub variant: Option<Box<str>>,
    /// The version of the operating system, which matters for Windows. A wanted platform without one accepts every version.
    pub os_version: Option<Box<str>>,
}

/// The platforms of an image index that count in a comparison.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Platforms {
    /// Every platform: nothing is known about the nodes.
    Every,
    /// Every platform for now: the node could not be read, so a verdict that depends on its platform is a doubt.
    Unread,
    /// These platforms only.
    Of(Vec<Platform>),
}

/// An invalid platform.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "cannot parse platform {input}: allowed is os/architecture, such as linux/amd64, linux/arm/v7 or windows/amd64:10.0.20348"
)]
pub struct PlatformError {
    /// The text.
    pub input: Quoted,
}

impl Platform {
    /// A platform of any variant and version, as nodes report it.
    pub fn new(os: &str, architecture: &str) -> Self {
        Self {
            os: os.into(),
            architecture: architecture.into(),
            variant: None,
            os_version: None,
        }
    }

    /// Whether an image for `offered` is one for this platform.
    pub(crate) fn accepts(&self, offered: &Self) -> bool {
        let version = match (&self.os_version, &offered.os_version) {
            // The node's 10.0.20348 accepts the image's 10.0.20348.2113.
            (Some(wanted), Some(offered)) => offered
                .strip_prefix(&**wanted)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('.')),
            _ => true,
        };
        let variant = match (&self.variant, &offered.variant) {
            (Some(wanted), Some(offered)) => wanted == offered,
            _ => true,
        };
        let is_same = (&self.os, &self.architecture) == (&offered.os, &offered.architecture);
        is_same && version && variant
    }

    /// Whether this platform can run an image for `offered`, an older architecture.
    ///
    /// Runtimes select such an image if the index has no better one; <https://github.com/containerd/platforms/blob/main/compare.go>.
    pub(crate) fn falls_back_to(&self, offered: &Self) -> bool {
        let older = match &*self.architecture {
            "amd64" => "386",
            "arm64" => "arm",
            _ => return false,
        };
        *offered.architecture == *older && self.os == offered.os
    }
}

impl FromStr for Platform {
    type Err = PlatformError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || PlatformError {
            input: Quoted::new(text),
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

/// Whether `text` is a valid component of a platform.
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
    fn other_texts_are_errors_that_quote_the_input() {
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
            assert_eq!(error.input, Quoted::new(text));
            assert!(error.to_string().contains("linux/amd64"), "{error}");
        }
    }

    #[test]
    fn a_platform_accepts_images_that_its_node_can_run() {
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
                platform(wanted).accepts(&platform(offered)),
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
