//! Properties of parsing the `imageID` of any node.

use kube_autorollout_core::{Digest, image_id::ImageId};

/// `data` is the `imageID` of a container's status.
pub(crate) fn check(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else {
        return;
    };
    let id = ImageId::parse(text);
    if let Some(digest) = id.digest() {
        assert_is_registered(digest);
        assert_eq!(
            ImageId::parse(digest.as_ref()),
            ImageId::Bare(digest.clone())
        );
    }
    match id {
        ImageId::RepoDigest { name, digest } => {
            let scheme = text.strip_suffix(&format!("{name}@{digest}"));
            assert!(scheme.is_some_and(is_scheme), "{text:?}");
        }
        ImageId::Bare(digest) => {
            let before = text.strip_suffix(digest.digest());
            let algorithm = format!("{}:", digest.algorithm());
            let scheme =
                before.map(|before| before.strip_suffix(algorithm.as_str()).unwrap_or(before));
            assert!(scheme.is_some_and(is_scheme), "{text:?}");
        }
        ImageId::NotStarted => assert!(is_scheme(text)),
        ImageId::Opaque(kept) => assert_eq!(kept, text),
    }
}

/// A digest of another length or case never equals a registry's, and would cause restarts.
fn assert_is_registered(digest: &Digest) {
    let length = digest
        .algorithm()
        .digest_hexlen()
        .map(|length| length as usize);
    assert_eq!(length, Some(digest.digest().len()), "{digest}");
    let hexadecimal = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    assert!(digest.digest().bytes().all(hexadecimal), "{digest}");
}

fn is_scheme(text: &str) -> bool {
    matches!(text, "" | "docker://" | "docker-pullable://")
}
