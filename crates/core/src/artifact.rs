//! Artifacts that are not container images: charts, bills of materials, signatures.

use std::fmt;

use crate::quoted::Quoted;

/// The media types of the configuration of a container image.
const IMAGE_CONFIGS: [&str; 2] = [
    "application/vnd.oci.image.config.v1+json",
    "application/vnd.docker.container.image.v1+json",
];

/// What old tools and registries wrote instead. Docker treats these as images, because no newer kind of content uses
/// them; see `defaultImageTypes` in <https://github.com/moby/moby/blob/master/distribution/registry.go>.
const UNSPECIFIC_CONFIGS: [&str; 4] = [
    "",
    "application/octet-stream",
    "application/json",
    "text/html",
];

/// Common kinds of artifacts, by a part of their media types.
const KINDS: [(&str, &str); 12] = [
    ("helm", "a Helm chart"),
    ("spdx", "an SBOM"),
    ("cyclonedx", "an SBOM"),
    ("syft", "an SBOM"),
    ("in-toto", "an attestation"),
    ("sigstore", "a signature"),
    ("cosign", "a signature"),
    ("notary", "a signature"),
    ("buildkit.cacheconfig", "a build cache"),
    ("docker.plugin", "a Docker plugin"),
    ("cncf.flux", "a Flux artifact"),
    ("wasm", "a WebAssembly module"),
];

/// The media type of a manifest that is not a container image.
///
/// Its `Display` is a noun phrase such as `a Helm chart (application/vnd.cncf.helm.config.v1+json)`, with the media type escaped
/// and truncated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArtifactType {
    kind: &'static str,
    media_type: Quoted,
}

impl ArtifactType {
    /// The type of a manifest; `None` if it is a container image.
    ///
    /// The media type of the configuration decides, as in runtimes; `artifactType` only names an artifact that is not an image,
    /// or decides if the configuration has no specific type
    /// (<https://github.com/opencontainers/image-spec/blob/v1.1.1/manifest.md#guidelines-for-artifact-usage>).
    pub(crate) fn of_manifest(config: Option<&str>, artifact_type: Option<&str>) -> Option<Self> {
        let config = config.unwrap_or_default();
        if IMAGE_CONFIGS.contains(&config) {
            return None;
        }
        let named = Self::of_descriptor(artifact_type);
        if UNSPECIFIC_CONFIGS.contains(&config) {
            return named;
        }
        Some(named.unwrap_or_else(|| Self::new(config)))
    }

    /// The `artifactType` of an entry of an index; `None` if it is that of a container image.
    ///
    /// For an image, it is the media type of its configuration
    /// (<https://github.com/opencontainers/image-spec/blob/v1.1.1/descriptor.md#properties>).
    pub(crate) fn of_descriptor(artifact_type: Option<&str>) -> Option<Self> {
        artifact_type
            .filter(|artifact_type| !artifact_type.is_empty())
            .filter(|artifact_type| !IMAGE_CONFIGS.contains(artifact_type))
            .map(Self::new)
    }

    fn new(media_type: &str) -> Self {
        let kind = KINDS.iter().find(|(part, _)| media_type.contains(part));
        Self {
            kind: kind.map_or("an artifact", |(_, kind)| kind),
            media_type: Quoted::new(media_type),
        }
    }
}

impl fmt::Display for ArtifactType {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let quoted = self.media_type.to_string();
        write!(formatter, "{} ({})", self.kind, quoted.trim_matches('"'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IMAGE: &str = IMAGE_CONFIGS[0];
    const HELM: &str = "application/vnd.cncf.helm.config.v1+json";
    const EMPTY: &str = "application/vnd.oci.empty.v1+json";
    const SPDX: &str = "application/spdx+json";

    #[test]
    fn the_configuration_decides_whether_a_manifest_is_an_image() {
        let of = |config, artifact_type| {
            ArtifactType::of_manifest(config, artifact_type).map(|artifact| artifact.to_string())
        };
        let named = |kind: &str, media_type: &str| Some(format!("{kind} ({media_type})"));
        let cases = [
            (Some(IMAGE), None, None),
            (Some(IMAGE_CONFIGS[1]), Some(""), None),
            (Some(IMAGE), Some(SPDX), None),
            (Some(HELM), None, named("a Helm chart", HELM)),
            (Some(HELM), Some(IMAGE), named("a Helm chart", HELM)),
            (Some(EMPTY), Some(SPDX), named("an SBOM", SPDX)),
            (Some(EMPTY), None, named("an artifact", EMPTY)),
            (None, None, None),
            (Some("application/octet-stream"), None, None),
            (None, Some(SPDX), named("an SBOM", SPDX)),
        ];
        for (config, artifact_type, expected) in cases {
            assert_eq!(
                of(config, artifact_type),
                expected,
                "{config:?} {artifact_type:?}"
            );
        }
    }

    #[test]
    fn artifact_types_are_escaped_and_truncated() {
        let hostile = format!("{}\u{1b}[31m{}", "x/y", "z".repeat(1000));
        let shown = ArtifactType::new(&hostile).to_string();
        assert!(!shown.contains('\u{1b}') && shown.len() < 120, "{shown}");
    }
}
