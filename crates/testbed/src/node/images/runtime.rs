//! How container runtimes report the same image.

use oci_spec::image::Digest;

use super::names::Names;

/// The container runtime of a node, which decides the form of an `imageID`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Runtime {
    /// The first `repository@digest` that the image was pulled as; determined whenever the status is written
    /// (<https://github.com/containerd/containerd/blob/main/internal/cri/server/container_status.go>).
    #[default]
    Containerd,
    /// The first of every repository with every digest of the image, that of its manifest included; found when the
    /// container is made (<https://github.com/cri-o/cri-o/blob/main/internal/storage/image.go>).
    CriO,
    /// As containerd, with a prefix and in Docker's short names
    /// (<https://github.com/Mirantis/cri-dockerd/blob/master/core/convert.go>).
    Docker,
}

impl Runtime {
    /// Its name as it stands before `://`.
    pub(crate) const fn scheme(self) -> &'static str {
        match self {
            Self::Containerd => "containerd",
            Self::CriO => "cri-o",
            Self::Docker => "docker",
        }
    }

    /// A version that it could have.
    pub(crate) const fn version(self) -> &'static str {
        match self {
            Self::Containerd => "2.1.4",
            Self::CriO => "1.34.1",
            Self::Docker => "28.5.1",
        }
    }

    /// Whether an `imageID` is found once for each container, and then stays.
    pub(crate) const fn decides_at_creation(self) -> bool {
        matches!(self, Self::CriO)
    }

    /// The `imageID` of an image that a node has under these names; with none, it was loaded from a file.
    pub(crate) fn image_id(self, config: &Digest, names: &Names) -> String {
        let first = names.pulls.first();
        match self {
            Self::Containerd => first.cloned().unwrap_or_else(|| config.to_string()),
            Self::Docker => first.map_or_else(
                || format!("docker://{config}"),
                |name| format!("docker-pullable://{}", familiar(name)),
            ),
            Self::CriO => {
                let digest = names.manifests.first();
                let joined = |digest| {
                    names
                        .repositories
                        .iter()
                        .map(move |name| format!("{name}@{digest}"))
                };
                digest
                    .and_then(|digest| joined(digest).min())
                    .unwrap_or_else(|| config.digest().to_owned())
            }
        }
    }
}

/// Docker's short form of a name: without the host of Docker Hub and its folder for official images.
fn familiar(name: &str) -> &str {
    let name = name.strip_prefix("docker.io/").unwrap_or(name);
    name.strip_prefix("library/").unwrap_or(name)
}
