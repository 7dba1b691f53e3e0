//! Properties of parsing the labels of any image.

use kube_autorollout_core::labels::{ImageLabels, is_visible};

/// Labels are truncated to this many characters.
const MAX_LENGTH: usize = 100;

/// `data` is a manifest or an index, and the configuration of an image.
pub(crate) fn check(data: &[u8]) {
    let annotations = ImageLabels::of_manifest(data);
    assert_is_printable(&annotations);
    if let Ok(labels) = ImageLabels::of_config(data) {
        assert_is_printable(&labels);
        let both = annotations.clone().or(labels.clone());
        assert!(both.identify_build() == (annotations.identify_build() || labels.identify_build()));
        assert_eq!(both.is_empty(), annotations.is_empty() && labels.is_empty());
    }
}

fn assert_is_printable(labels: &ImageLabels) {
    let ImageLabels {
        version,
        revision,
        source,
        created,
    } = labels;
    for text in [version, revision, source, created].into_iter().flatten() {
        assert!(
            !text.is_empty() && text.chars().count() <= MAX_LENGTH,
            "{text:?}"
        );
        assert!(text.chars().all(is_visible), "{text:?}");
        assert_eq!(text.trim(), &**text);
    }
    if let Some(source) = source {
        let is_plain =
            |letter: char| letter.is_ascii_graphic() && !matches!(letter, '"' | '<' | '>');
        assert!(source.starts_with("https://"), "{source}");
        assert!(source.chars().all(is_plain), "{source}");
    }
}
