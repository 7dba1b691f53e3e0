use std::{cell::RefCell, fs, os::unix::fs::PermissionsExt as _};

use super::*;

fn program(folder: &Path, name: &str, version: &str) -> PathBuf {
    let file = folder.join(name);
    fs::write(&file, format!("#!/bin/sh\necho '{version}'\n")).expect("writable");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).expect("ours");
    file
}

#[test]
fn the_assets_folder_wins_over_the_path_unless_its_program_is_too_old() {
    let (assets, path, cache) = (
        tempfile::tempdir().expect("a folder"),
        tempfile::tempdir().expect("a folder"),
        tempfile::tempdir().expect("a folder"),
    );
    let places = Places {
        assets: Some(assets.path().to_owned()),
        path: vec![path.path().to_owned()],
        cache: cache.path().to_owned(),
        require_all: false,
    };
    let etcd = program(assets.path(), "etcd", "etcd Version: 3.6.1");
    program(path.path(), "etcd", "etcd Version: 3.7.0");
    let old = program(assets.path(), "kube-apiserver", "Kubernetes v1.20.2");
    let newer = program(path.path(), "kube-apiserver", "Kubernetes v1.35.0");
    let refused = RefCell::new(Vec::new());
    let progress = |progress: &Progress| refused.borrow_mut().push(progress.to_string());
    let found = |program| find(program, &places, &progress).expect("it is there");
    assert_eq!(found(Program::Etcd), etcd);
    assert_eq!(found(Program::KubeApiserver), newer);
    let expected = format!(
        "kube-apiserver: {} is not used: it is 1.20, and at least 1.33 is needed",
        old.display()
    );
    assert_eq!(*refused.borrow(), [expected]);
}

#[test]
fn without_go_the_message_names_the_ways_out_that_there_are() {
    let servers = build::without_go(Program::Etcd).to_string();
    for part in ["install Go 1.", "KUBEBUILDER_ASSETS", "PATH"] {
        assert!(servers.contains(part), "{servers}");
    }
    let tool = build::without_go(Program::Helm4).to_string();
    assert!(tool.contains("install Go 1."), "{tool}");
    assert!(!tool.contains("PATH"), "tools are not searched for: {tool}");
}
