//! What an image's root folder holds: one program, the libraries it is linked with, and what name resolution reads.

use std::{
    fs, io,
    net::SocketAddr,
    os::unix::fs::PermissionsExt as _,
    path::{Component, Path, PathBuf},
    process::Command,
};

/// Where the program is in its image.
pub(super) const ENTRY_POINT: &str = "/kube-autorollout";

/// The user of an image whose pod names none.
pub(super) const USER: i64 = 65532;

/// A program that stands for an image.
#[derive(Debug, Clone)]
pub(super) struct Program {
    /// The files of the root folder: where they are, and where they go.
    files: Vec<(PathBuf, PathBuf)>,
    /// The address that stands in for that of the Service `kubernetes`.
    pub(super) api_server: SocketAddr,
}

impl Program {
    /// The root folder with this program; a dynamic one gets the libraries that its loader names.
    pub(super) fn new(file: &Path, api_server: SocketAddr) -> io::Result<Self> {
        let mut files = vec![(file.to_owned(), PathBuf::from(ENTRY_POINT))];
        let libraries = Command::new("ldd").arg(file).output()?;
        let text = String::from_utf8_lossy(&libraries.stdout).into_owned();
        let paths = text.split_whitespace().filter(|word| word.starts_with('/'));
        files.extend(paths.map(|path| (path.into(), path.into())));
        let resolver = ["/etc/resolv.conf", "/etc/hosts"].map(PathBuf::from);
        let resolver = resolver.into_iter().filter(|path| path.exists());
        files.extend(resolver.map(|path| (path.clone(), path)));
        Ok(Self { files, api_server })
    }

    /// Makes a root folder that only root can change.
    pub(super) fn copy_to(&self, root: &Path) -> io::Result<()> {
        for (from, to) in &self.files {
            let to = inside(root, to);
            if let Some(folder) = to.parent() {
                fs::create_dir_all(folder)?;
            }
            fs::copy(from, to)?;
        }
        let parent = root.parent().unwrap_or(root);
        set_mode(parent, 0o755)
    }
}

/// A path of the container below `root`; components that would leave it are dropped.
pub(super) fn inside(root: &Path, path: &Path) -> PathBuf {
    let parts = path.components();
    let parts = parts.filter(|part| matches!(part, Component::Normal(_)));
    root.join(parts.collect::<PathBuf>())
}

/// Sets the permissions of a file or folder.
pub(super) fn set_mode(path: &Path, mode: u32) -> io::Result<()> {
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
}
