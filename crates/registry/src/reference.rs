//! Validation of the parts of a reference.

/// Whether a text is a repository: the `<name>` of
/// <https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pulling-manifests>.
pub(crate) fn is_repository(text: &str) -> bool {
    text.split('/').all(|component| {
        component.starts_with(|first: char| first.is_ascii_lowercase() || first.is_ascii_digit())
            && component
                .bytes()
                .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-'))
    })
}

/// Whether a text is a tag: `<reference>` in the same section.
pub(crate) fn is_tag(text: &str) -> bool {
    (1..=128).contains(&text.len())
        && !text.starts_with(['.', '-'])
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'))
}
