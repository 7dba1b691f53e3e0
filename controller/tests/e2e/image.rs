//! The container image, built from the Dockerfile as it stands by `buildah`, which needs neither a service nor a network.
//!
//! The stage that compiles is not built: its base image is in a registry. A folder with a static binary, which the testbed
//! has compiled with the same flags, takes its place, and everything after it is the Dockerfile's own.

use std::{
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use kube_autorollout_testbed::{controller::build_static, installed};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::pages::root;

/// A store of images that nothing else uses, and an image in it.
struct Built {
    program: PathBuf,
    folder: TempDir,
    image: String,
}

impl Built {
    /// The image with this file as the compiled binary.
    fn with(binary: &Path) -> Option<Self> {
        let program = installed("buildah")?;
        let folder = tempfile::tempdir().expect("a folder");
        let compiled = folder.path().join("compiled");
        fs::create_dir(&compiled).expect("a folder");
        fs::copy(binary, compiled.join("kube-autorollout")).expect("copied");
        let mut built = Self {
            program,
            image: String::new(),
            folder,
        };
        let id = built.folder.path().join("id");
        let stage = format!("build={}", compiled.display());
        let options = ["--quiet", "--isolation", "chroot", "--identity-label=false"];
        let mut buildah = built.command("build");
        buildah.args(options).args(["--build-context", &stage]);
        buildah.arg("--iidfile").arg(&id);
        said(buildah.arg(root()));
        built.image = fs::read_to_string(id).expect("the image's digest");
        Some(built)
    }

    fn command(&self, name: &str) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(["--storage-driver", "vfs", "--root"])
            .arg(self.folder.path().join("images"))
            .arg("--runroot")
            .arg(self.folder.path().join("run"))
            .arg(name)
            .env("HOME", self.folder.path());
        command
    }

    /// Its description (<https://github.com/opencontainers/image-spec/blob/main/config.md>).
    fn description(&self) -> Value {
        let mut inspect = self.command("inspect");
        let text = said(inspect.args(["--type", "image", &self.image]));
        let inspected: Value = serde_json::from_str(&text).expect("JSON");
        inspected["OCIv1"].clone()
    }

    /// A container of it, in which nothing runs yet.
    fn container(&self) -> String {
        said(self.command("from").args(["--pull-never", &self.image]))
    }
}

/// What a command writes; it has to succeed.
fn said(command: &mut Command) -> String {
    let output = command.output().expect("it ran");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {error}");
    String::from_utf8(output.stdout)
        .expect("text")
        .trim()
        .to_owned()
}

#[test]
fn the_image_is_one_binary_that_a_numeric_user_runs() {
    let binary = build_static(&|_| {}).expect("a static binary");
    let Some(built) = Built::with(&binary) else {
        return;
    };
    let description = built.description();
    let config = &description["config"];
    assert_eq!(config["User"], "65532:65532", "{description}");
    assert_eq!(config["Entrypoint"], json!(["/kube-autorollout"]));
    assert!(config["Cmd"].is_null(), "{description}");
    let labels = json!({
        "org.opencontainers.image.title": env!("CARGO_PKG_NAME"),
        "org.opencontainers.image.description": env!("CARGO_PKG_DESCRIPTION"),
        "org.opencontainers.image.source": env!("CARGO_PKG_REPOSITORY"),
        "org.opencontainers.image.licenses": env!("CARGO_PKG_LICENSE"),
    });
    assert_eq!(config["Labels"], labels);
    let variables = config["Env"].as_array().map_or(&[][..], Vec::as_slice);
    let is_path = |variable: &Value| {
        variable
            .as_str()
            .is_some_and(|text| text.starts_with("PATH="))
    };
    assert!(variables.iter().all(is_path), "{variables:?}");

    let container = built.container();
    let folder = said(built.command("mount").arg(&container));
    let entries = fs::read_dir(folder).expect("a root folder");
    let entries: Vec<_> = entries
        .map(|entry| entry.expect("an entry").path())
        .collect();
    let [file] = &*entries else {
        panic!("no shell, no libraries, no folders: {entries:?}");
    };
    assert_eq!(file.file_name(), Some(OsStr::new("kube-autorollout")));
    let same = fs::read(file).expect("a file") == fs::read(&binary).expect("a file");
    assert!(same, "it is the binary that was compiled");

    // After what is above: to run something, folders are added that every container has
    let mut run = built.command("run");
    run.args(["--isolation", "chroot", &container, "--"]);
    run.args(
        config["Entrypoint"]
            .as_array()
            .expect("words")
            .iter()
            .filter_map(Value::as_str),
    );
    let version = said(run.arg("--version"));
    assert_eq!(
        version,
        format!("kube-autorollout {}", env!("CARGO_PKG_VERSION"))
    );
}
