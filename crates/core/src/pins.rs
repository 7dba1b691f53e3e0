//! Pins: which digest new pods run, even if their tag has moved since.
//!
//! The controller writes them to the pod template, and an admission policy sets the pinned image when a pod is created. A pin
//! includes the image that it was resolved from: tools keep our annotation when somebody edits a tag, and the digest of the
//! old tag must not win then.

use oci_spec::image::DigestAlgorithm;

use crate::{Digest, Reference, record::ByContainer, reference};

/// For each container the image of its template, `@`, and a digest: the value of [`PINS`](crate::annotations::PINS), which the
/// policy searches as a text.
pub type Pins = ByContainer<String>;

impl Pins {
    /// Pins a container to a digest of its image, unless the image has a digest itself. The policy accepts SHA-256 only, which
    /// is all that registries serve.
    pub fn pin(&mut self, container: &str, image: &str, digest: &Digest) {
        let is_supported = *digest.algorithm() == DigestAlgorithm::Sha256;
        if is_supported && !image.is_empty() && !image.contains('@') {
            self.0
                .insert(container.to_owned(), format!("{image}@{digest}"));
        }
    }

    /// The digest that a container is pinned to, if its pin was resolved from `image`.
    pub fn digest(&self, container: &str, image: &str) -> Option<Digest> {
        let digest = self.0.get(container)?.strip_prefix(image)?;
        digest.strip_prefix('@')?.parse().ok()
    }

    /// Whether `image`, as a pod has it, is the one that a container is pinned to: digest and tag must be those of the pin. The
    /// repository may differ, as that of a mirror does.
    pub fn matches(&self, container: &str, image: &str) -> bool {
        let pinned = || {
            let pin = self.0.get(container)?;
            let [pin, image] = [pin, image].map(|image| image.rsplit_once('@'));
            let ((pinned, pinned_digest), (actual, digest)) = (pin?, image?);
            let is_digest = pinned_digest.parse::<Digest>().is_ok();
            let is_same = is_digest && pinned_digest == digest;
            Some(is_same && (pinned == actual || tag(pinned)? == tag(actual)?))
        };
        pinned().unwrap_or(false)
    }
}

/// Whether the image of a pod may be that of its template, perhaps from a mirror: the last component of the repository and the
/// tag are equal. The image that a service mesh injects for `auto` is a different one, so the template's has no digest.
pub fn is_same_image(image: &str, named: &str) -> bool {
    let name_and_tag = |image: &str| {
        let reference: Reference = reference::parse(image).ok()?;
        let last = reference.repository().rsplit('/').next()?.to_owned();
        Some((last, reference.tag()?.to_owned()))
    };
    image == named
        || name_and_tag(image).is_some_and(|expected| name_and_tag(named) == Some(expected))
}

/// The tag of an image, `latest` if it has none.
fn tag(image: &str) -> Option<String> {
    let reference: Reference = reference::parse(image).ok()?;
    reference.tag().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HEX: &str = "6c3c624b58dbbcd3c0dd82b4c53f04194d1247c6eebdaab7c610cf7d66709b3b";

    fn digest() -> Digest {
        let digest = format!("sha256:{HEX}");
        digest.parse().expect("a test's own digest")
    }

    fn pins(image: &str) -> Pins {
        let mut pins = Pins::default();
        pins.pin("app", image, &digest());
        pins
    }

    #[test]
    fn pins_are_json_with_sorted_keys_and_read_themselves() {
        let mut pins = pins("ghcr.io/team/web:main");
        pins.pin("agent", "localhost:5000/agent", &digest());
        let text = format!(
            r#"{{"agent":"localhost:5000/agent@sha256:{HEX}","app":"ghcr.io/team/web:main@sha256:{HEX}"}}"#
        );
        assert_eq!(pins.to_string(), text);
        assert_eq!(Pins::parse(&text), Some(pins));
    }

    #[test]
    fn another_shape_counts_as_absent() {
        for text in ["", "null", "[]", "web", r#"{"app":1}"#, r#"{"app":null}"#] {
            assert_eq!(Pins::parse(text), None, "{text}");
        }
    }

    #[test]
    fn an_image_is_the_same_at_a_mirror_and_another_one_where_a_mesh_fills_it_in() {
        let table = [
            ("ghcr.io/team/web:main", "ghcr.io/team/web:main", true),
            (
                "ghcr.io/team/web:main",
                "harbor.corp/ghcr/team/web:main",
                true,
            ),
            ("nginx", "harbor.corp/hub/library/nginx:latest", true),
            ("ghcr.io/team/web:main", "harbor.corp/team/web:next", false),
            ("auto", "docker.io/istio/proxyv2:1.27", false),
            ("auto", "docker.io/istio/proxyv2", false),
            ("not a reference", "ghcr.io/team/web:main", false),
        ];
        for (image, named, expected) in table {
            assert_eq!(is_same_image(image, named), expected, "{image} {named}");
        }
    }

    #[test]
    fn an_image_that_names_a_digest_itself_is_not_pinned() {
        assert!(pins(&format!("web:1@sha256:{HEX}")).is_empty());
        assert!(pins("").is_empty());
    }

    #[test]
    fn a_pin_counts_for_the_image_that_it_was_made_of_only() {
        let pins = pins("web:1");
        assert_eq!(pins.digest("app", "web:1"), Some(digest()));
        for (container, image) in [
            ("app", "web:2"),
            ("app", "web:"),
            ("app", "web"),
            ("app", "web:1@sha256"),
            ("proxy", "web:1"),
        ] {
            assert_eq!(pins.digest(container, image), None, "{container} {image}");
        }
        let broken = Pins::parse(r#"{"app":"web:1@sha256:12"}"#).expect("an object");
        assert_eq!(broken.digest("app", "web:1"), None);
        assert!(!broken.matches("app", "web:1@sha256:12"));
    }

    #[test]
    fn a_pod_is_recognised_by_digest_and_tag_also_where_a_mirror_serves_it() {
        let other = HEX.replace('6', "7");
        let cases = [
            ("web:1", format!("web:1@sha256:{HEX}"), true),
            ("web", format!("web@sha256:{HEX}"), true),
            ("web", format!("harbor:5000/web:latest@sha256:{HEX}"), true),
            ("web:1", format!("harbor:5000/hub/web:1@sha256:{HEX}"), true),
            ("h:5000/web", format!("h:5000/web@sha256:{HEX}"), true),
            ("web:1", format!("web:2@sha256:{HEX}"), false),
            ("web:1", format!("web@sha256:{HEX}"), false),
            ("web:1", format!("web:1@sha256:{other}"), false),
            ("web:1", "web:1".to_owned(), false),
            ("auto", format!("proxy:1@sha256:{HEX}"), false),
        ];
        for (template, image, expected) in cases {
            let pins = pins(template);
            assert_eq!(
                pins.matches("app", &image),
                expected,
                "{template} as {image}"
            );
            assert!(!pins.matches("proxy", &image));
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_and_held(
            name in "[a-z]([a-z0-9-]{0,9}[a-z0-9])?",
            image in "([a-z]{1,5}(:[0-9]{1,4})?/)?[a-z]{1,9}(:[A-Za-z0-9_.-]{1,9})?",
        ) {
            let mut pins = Pins::default();
            pins.pin(&name, &image, &digest());
            prop_assert_eq!(pins.digest(&name, &image), Some(digest()));
            let named = format!("{}@{}", image, digest());
            prop_assert!(pins.matches(&name, &named));
            // As the policy searches for it
            let searched = format!("\"{name}\":\"{image}@sha256:");
            prop_assert!(pins.to_string().contains(&searched));
        }

        #[test]
        fn every_text_has_an_answer(text in "\\PC*", image in "\\PC*") {
            let pins = Pins::parse(&text).unwrap_or_default();
            prop_assert!(!pins.matches("app", &image) && pins.digest("app", &image).is_none());
        }
    }
}
