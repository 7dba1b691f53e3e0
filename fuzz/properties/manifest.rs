//! Properties of parsing manifests of any registry.

use kube_autorollout_core::{
    manifest::{Index, Manifest, ManifestError},
    platform::Platforms,
};

const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const IMAGE: &str = "application/vnd.oci.image.manifest.v1+json";

/// Each platform is compared with each image, which is too slow for a thousand platforms.
const PLATFORMS: usize = 8;

/// The maximum size of an Event's note, in bytes.
const MAX_MESSAGE: usize = 1024;

/// `data` is a media type, a line feed, and the body.
pub(crate) fn check(data: &[u8]) {
    let (media_type, body) = data
        .iter()
        .position(|byte| *byte == b'\n')
        .and_then(|end| Some((data.get(..end)?, data.get(end + 1..)?)))
        .unwrap_or((data, &[]));
    let Ok(media_type) = str::from_utf8(media_type) else {
        return;
    };
    match Manifest::parse(media_type, body) {
        Ok(manifest) => {
            let with_parameter = Manifest::parse(&format!("{media_type}; charset=utf-8"), body);
            assert_eq!(with_parameter.ok().as_ref(), Some(&manifest));
            if let Manifest::Index(index) = manifest {
                assert_selects_its_platforms(&index);
            }
        }
        Err(error) => assert_is_printable(&error),
    }
    let as_index = Manifest::parse(INDEX, body);
    let as_image = Manifest::parse(IMAGE, body);
    assert!(as_index.is_err() || as_image.is_err());
}

fn assert_selects_its_platforms(index: &Index) {
    let runnable: Vec<_> = index.runnable().collect();
    let every = index.select(&Platforms::Every);
    let platforms = every.iter().filter_map(|entry| entry.platform.as_ref());
    assert!(platforms.eq(index.platforms()));
    assert!(every.len() <= index.platforms().count() + 1); // one image without a platform
    assert_eq!(every.is_empty(), runnable.is_empty());
    assert!(index.select(&Platforms::Of(Vec::new())).is_empty());
    for platform in index.platforms().take(PLATFORMS) {
        let selected = index.select(&Platforms::Of(vec![platform.clone()]));
        assert!(!selected.is_empty(), "{platform}");
        let mut rest = runnable.iter();
        let in_order = selected
            .iter()
            .all(|entry| rest.any(|other| other == entry));
        assert!(in_order, "{platform}");
    }
}

fn assert_is_printable(error: &ManifestError) {
    let message = error.to_string();
    assert!(message.len() <= MAX_MESSAGE, "{message}");
    assert!(!message.contains(char::is_control), "{message:?}");
}
