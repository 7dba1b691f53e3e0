//! The version of an image according to its authors: annotations and labels of the OCI image specification
//! (<https://github.com/opencontainers/image-spec/blob/v1.1.1/annotations.md#pre-defined-annotation-keys>).
//!
//! They are untrusted: values are truncated and stripped of control characters, but not escaped for any format.

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};

/// Values are truncated to this many characters.
const MAX_LENGTH: usize = 100;

/// An image's description of itself: its annotations, or the labels of its configuration.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ImageLabels {
    /// `org.opencontainers.image.version`: the version of the packaged software.
    pub version: Option<Box<str>>,
    /// `org.opencontainers.image.revision`: the commit that it was built from.
    pub revision: Option<Box<str>>,
    /// `org.opencontainers.image.source`, if it is an `https` URL, because it is shown as a link.
    pub source: Option<Box<str>>,
    /// `org.opencontainers.image.created`: when it was built, as written.
    pub created: Option<Box<str>>,
}

impl ImageLabels {
    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.version.is_none()
            && self.revision.is_none()
            && self.source.is_none()
            && self.created.is_none()
    }

    /// Fills missing labels from `other`.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            version: self.version.or(other.version),
            revision: self.revision.or(other.revision),
            source: self.source.or(other.source),
            created: self.created.or(other.created),
        }
    }

    /// Whether they identify a build.
    pub const fn identify_build(&self) -> bool {
        self.version.is_some() || self.revision.is_some()
    }

    /// Parses the annotations of a manifest or index
    /// (<https://github.com/opencontainers/image-spec/blob/v1.1.1/manifest.md#image-manifest-property-descriptions>);
    /// empty if there are none, or if they are malformed.
    pub fn of_manifest(manifest: &[u8]) -> Self {
        let document: Result<Annotated, _> = serde_json::from_slice(manifest);
        document
            .ok()
            .and_then(|document| document.annotations)
            .unwrap_or_default()
    }

    /// Parses the labels of an image configuration
    /// (<https://github.com/opencontainers/image-spec/blob/v1.1.1/config.md#properties>).
    ///
    /// # Errors
    ///
    /// If it is not a JSON object, or its labels are malformed.
    pub fn of_config(config: &[u8]) -> Result<Self, serde_json::Error> {
        let config: Configuration = serde_json::from_slice(config)?;
        Ok(config
            .config
            .and_then(|config| config.labels)
            .unwrap_or_default())
    }

    /// Sets the field of this label, if there is one.
    fn set(&mut self, key: &str, value: &str) {
        let Some(key) = key.strip_prefix("org.opencontainers.image.") else {
            return;
        };
        let field = match key {
            "version" => &mut self.version,
            "revision" => &mut self.revision,
            "source" if is_link(value) => &mut self.source,
            "created" => &mut self.created,
            _ => return,
        };
        *field = readable(value, MAX_LENGTH);
    }
}

/// Whether `value` can be shown as a link without truncation.
fn is_link(value: &str) -> bool {
    let host = value.strip_prefix("https://");
    let allowed = |letter: char| letter.is_ascii_graphic() && !matches!(letter, '"' | '<' | '>');
    value.len() <= MAX_LENGTH
        && host.is_some_and(|host| !host.is_empty() && host.chars().all(allowed))
}

/// The value without control and bidirectional formatting characters, truncated to `max_length` characters; `None` if nothing
/// remains.
pub fn readable(value: &str, max_length: usize) -> Option<Box<str>> {
    let visible = value.chars().filter(|letter| is_visible(*letter));
    let truncated: String = visible.take(max_length).collect();
    let truncated = truncated.trim();
    (!truncated.is_empty()).then(|| truncated.into())
}

/// Whether a character is visible: neither a control character nor one that changes how others are displayed.
pub fn is_visible(letter: char) -> bool {
    !letter.is_control() && !is_format(letter)
}

/// Invisible characters that change how others are displayed
/// (<https://www.unicode.org/reports/tr36/#Bidirectional_Text_Spoofing>).
const fn is_format(letter: char) -> bool {
    matches!(
        letter,
        '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
    )
}

#[derive(Deserialize)]
struct Annotated {
    annotations: Option<ImageLabels>,
}

#[derive(Deserialize)]
struct Configuration {
    config: Option<Runtime>,
}

#[derive(Deserialize)]
struct Runtime {
    #[serde(rename = "Labels")]
    labels: Option<ImageLabels>,
}

impl<'de> Deserialize<'de> for ImageLabels {
    /// Reads a map of annotations or labels and skips unknown keys.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Labels;

        impl<'de> Visitor<'de> for Labels {
            type Value = ImageLabels;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("a map of strings")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<ImageLabels, A::Error> {
                let mut labels = ImageLabels::default();
                while let Some((key, value)) = map.next_entry::<String, String>()? {
                    labels.set(&key, &value);
                }
                Ok(labels)
            }
        }

        deserializer.deserialize_map(Labels)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn labels(labels: &serde_json::Value) -> ImageLabels {
        let config =
            json!({ "architecture": "amd64", "config": { "Cmd": ["/web"], "Labels": labels } });
        ImageLabels::of_config(config.to_string().as_bytes()).expect("a configuration")
    }

    #[test]
    fn the_four_labels_are_read_and_all_others_skipped() {
        let read = labels(&json!({
            "maintainer": "team",
            "org.opencontainers.image.version": "1.4.3",
            "org.opencontainers.image.revision": "cd34",
            "org.opencontainers.image.source": "https://github.com/team/web",
            "org.opencontainers.image.created": "2026-01-01T00:00:00Z",
            "org.opencontainers.image.title": "web",
        }));
        assert_eq!(read.version.as_deref(), Some("1.4.3"));
        assert_eq!(read.revision.as_deref(), Some("cd34"));
        assert_eq!(read.source.as_deref(), Some("https://github.com/team/web"));
        assert_eq!(read.created.as_deref(), Some("2026-01-01T00:00:00Z"));
    }

    #[test]
    fn an_image_without_labels_is_empty() {
        for config in [
            "{}",
            r#"{"config":null}"#,
            r#"{"config":{}}"#,
            r#"{"config":{"Labels":null}}"#,
        ] {
            let read = ImageLabels::of_config(config.as_bytes()).expect(config);
            assert!(read.is_empty(), "{config}");
        }
        assert!(ImageLabels::of_config(b"{").is_err());
        assert!(ImageLabels::of_config(br#"{"config":{"Labels":{"a":1}}}"#).is_err());
    }

    #[test]
    fn annotations_of_a_manifest_are_read_where_they_can_be() {
        let manifest = json!({
            "schemaVersion": 2,
            "annotations": { "org.opencontainers.image.revision": "cd34" },
        });
        let read = ImageLabels::of_manifest(manifest.to_string().as_bytes());
        assert_eq!(read.revision.as_deref(), Some("cd34"));
        assert!(read.identify_build());
        let version = ImageLabels {
            version: Some("1.4.3".into()),
            ..ImageLabels::default()
        };
        let both = read.or(version);
        assert_eq!(
            (both.version.as_deref(), both.revision.as_deref()),
            (Some("1.4.3"), Some("cd34"))
        );
        for manifest in [
            "",
            "[]",
            "{}",
            r#"{"annotations":[]}"#,
            r#"{"annotations":{"a":1}}"#,
        ] {
            assert!(
                ImageLabels::of_manifest(manifest.as_bytes()).is_empty(),
                "{manifest}"
            );
        }
    }

    #[test]
    fn deceptive_characters_are_removed() {
        let version = |version: &str| {
            let read = labels(&json!({ "org.opencontainers.image.version": version }));
            read.version.map(String::from)
        };
        assert_eq!(version("\u{1b}[31m1.4\n"), Some("[31m1.4".to_owned()));
        assert_eq!(version("1\u{202e}4"), Some("14".to_owned()));
        assert_eq!(version(" \u{7f} "), None);
        assert_eq!(version(&"ä".repeat(1_000)), Some("ä".repeat(MAX_LENGTH)));
    }

    #[test]
    fn a_source_is_kept_if_it_can_be_a_link() {
        let long = format!("https://{}", "a".repeat(100));
        for source in [
            "javascript:alert(1)",
            "http://example.org",
            "https://",
            "https://a\"b",
            "https://a b",
            &long,
        ] {
            let read = labels(&json!({ "org.opencontainers.image.source": source }));
            assert_eq!(read.source, None, "{source}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(config in proptest::collection::vec(any::<u8>(), 0..200)) {
            drop(ImageLabels::of_config(&config));
        }

        #[test]
        fn a_label_is_short_and_on_one_line(value in ".*") {
            let read = labels(&json!({ "org.opencontainers.image.version": value }));
            let version = read.version.unwrap_or_default();
            prop_assert!(version.chars().count() <= MAX_LENGTH);
            prop_assert!(!version.chars().any(char::is_control));
        }
    }
}
