//! The two families of media types in use.

/// Whose media types a manifest uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MediaTypes {
    /// <https://github.com/opencontainers/image-spec/blob/main/media-types.md>
    #[default]
    Oci,
    /// <https://github.com/distribution/distribution/blob/main/docs/content/spec/manifest-v2-2.md>
    Docker,
}

impl MediaTypes {
    /// The manifest of one image.
    pub const fn manifest(self) -> &'static str {
        match self {
            Self::Oci => "application/vnd.oci.image.manifest.v1+json",
            Self::Docker => "application/vnd.docker.distribution.manifest.v2+json",
        }
    }

    /// The list of several manifests.
    pub const fn index(self) -> &'static str {
        match self {
            Self::Oci => "application/vnd.oci.image.index.v1+json",
            Self::Docker => "application/vnd.docker.distribution.manifest.list.v2+json",
        }
    }

    /// The config of an image.
    pub const fn config(self) -> &'static str {
        match self {
            Self::Oci => "application/vnd.oci.image.config.v1+json",
            Self::Docker => "application/vnd.docker.container.image.v1+json",
        }
    }

    /// A layer, not compressed or by Zstandard, for which Docker has no type of its own.
    pub(super) const fn layer(self, zstd: bool) -> &'static str {
        match (self, zstd) {
            (_, true) => "application/vnd.oci.image.layer.v1.tar+zstd",
            (Self::Oci, false) => "application/vnd.oci.image.layer.v1.tar",
            (Self::Docker, false) => "application/vnd.docker.image.rootfs.diff.tar",
        }
    }
}
