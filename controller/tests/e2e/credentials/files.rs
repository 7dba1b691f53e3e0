//! Secrets that are mounted as files, and change there.

use std::{fs, os::unix::fs::symlink, path::Path};

use kube_autorollout_testbed::registry::{ALICE, Access};
use serde_json::json;

use super::{Own, WRONG, assert_no_secret_in, decisions};

/// Puts a file into a folder as the kubelet mounts a Secret: by a link that is swapped.
fn mount(folder: &Path, version: &str, name: &str, content: &str) {
    let data = folder.join(version);
    fs::create_dir(&data).expect("a folder");
    fs::write(data.join(name), content).expect("a file");
    let link = folder.join("..data_tmp");
    symlink(version, &link).expect("a link");
    fs::rename(&link, folder.join("..data")).expect("swapped");
    if !folder.join(name).exists() {
        symlink(Path::new("..data").join(name), folder.join(name)).expect("a link");
    }
}

#[tokio::test]
async fn what_is_rotated_in_a_mounted_secret_is_used_at_the_next_check() {
    let token = async {
        let own = Own::new("token-file", Access::Htpasswd).await;
        let image = own.push("app", 1).await;
        own.deploy(&[image], &[], 1).await;
        let folder = own.folder.path();
        mount(folder, "..1", "token", WRONG);
        let secret = json!({
            "type": "Opaque", "username": ALICE.name, "tokenFile": folder.join("token"),
        });
        let controller = own.controller(secret).await;
        controller.until_all("Unknown", 1).await;
        mount(folder, "..2", "token", &format!("{}\n", ALICE.password));
        controller.until_all("UpToDate", 1).await;
        assert_no_secret_in(&controller.log());
    };
    let docker_config = async {
        let own = Own::new("mounted", Access::Token).await;
        let image = own.push("app", 1).await;
        own.deploy(&[image], &[], 1).await;
        let folder = own.folder.path();
        mount(
            folder,
            "..1",
            ".dockerconfigjson",
            &own.docker_config(WRONG),
        );
        let secret = json!({ "type": "ImagePullSecret", "mountPath": folder });
        let controller = own.controller(secret).await;
        controller.until_all("Unknown", 1).await;
        let login = own.docker_config(ALICE.password);
        mount(folder, "..2", ".dockerconfigjson", &login);
        controller.until_all("UpToDate", 1).await;
        assert_eq!(own.verdicts(), [401, 200]);
        assert_no_secret_in(&controller.log());
    };
    tokio::join!(token, docker_config);
}

#[tokio::test]
async fn a_secret_file_that_vanishes_or_breaks_is_reported_once_and_used_again_when_it_is_fixed() {
    let own = Own::new("vanishing", Access::Token).await;
    let image = own.push("app", 1).await;
    own.deploy(&[image], &[], 1).await;
    let (folder, name) = (own.folder.path(), ".dockerconfigjson");
    let login = own.docker_config(ALICE.password);
    mount(folder, "..1", name, &login);
    let secret = json!({ "type": "ImagePullSecret", "mountPath": folder });
    let controller = own.controller(secret).await;
    controller.until_all("UpToDate", 1).await;

    fs::remove_dir_all(folder.join("..1")).expect("it was there");
    controller.until_all("Unknown", 1).await;
    let trouble = [
        format!("cannot read {}", folder.join(name).display()),
        format!("{} is not used", folder.join(name).display()),
    ];
    controller.until_logged(&["WARN", &trouble[0]]).await;
    controller
        .until_logged(&["WARN", "/web-0", "Unauthorized"])
        .await;
    mount(folder, "..2", name, &format!("{{ \"auths\": {WRONG}"));
    controller.until_logged(&["WARN", &trouble[1]]).await;
    decisions(&controller, 3).await;
    mount(folder, "..3", name, &login);
    controller.until_all("UpToDate", 1).await;

    own.push("app", 2).await;
    controller.until_completed(1).await;
    assert_eq!(own.world.patches(), 1);
    let log = controller.log();
    for trouble in trouble {
        assert_eq!(
            log.matches(&trouble).count(),
            1,
            "{trouble} is reported once"
        );
    }
    assert_no_secret_in(&log);
}
