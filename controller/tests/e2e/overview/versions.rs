//! Which version runs where, and whether its pods are pinned.

use kube_autorollout_testbed::image::Content as _;
use serde_json::json;

use super::{command::beside, request, until_row};
use crate::pinning::{self, PINNING};

#[tokio::test]
async fn a_row_has_the_versions_of_what_runs_and_of_the_tag_and_whether_pods_are_pinned() {
    let world = pinning::world("row-versions").await;
    let image = |version: u32| {
        let number = format!("1.4.{version}");
        world.version(version).released(&number, "ab12cd34")
    };
    let shown = |version: u32| {
        let digest = image(version).root_digest().to_string();
        json!({ "digest": digest, "version": format!("1.4.{version}"), "revision": "ab12cd34" })
    };
    world.push(&image(1), "app").await;
    world.deploy("web", "app").await;
    let controller = world.controller(PINNING).await;
    let quiet = until_row(&controller, "web", |row| row["state"] == "UpToDate").await;
    assert_eq!(quiet["pinned"], false, "no rollout yet: {quiet}");

    world.push(&image(2), "app").await;
    let row = until_row(&controller, "web", |row| {
        row["state"] == "UpToDate" && row["pinned"] == true
    });
    let row = row.await;
    let container = &row["containers"][0];
    assert_eq!(container["tag"], shown(2), "{row}");
    let mut running = shown(2);
    running["pods"] = json!(1);
    assert_eq!(container["running"], json!([running]), "{row}");

    let asked = json!({ "metadata": { "annotations": { "kube-autorollout/hold": "true" } } });
    world.patch("web", asked).await;
    world.push(&image(3), "app").await;
    let held = until_row(&controller, "web", |row| {
        row["state"] == "Held" && row["containers"][0]["tag"] == shown(3)
    });
    let held = held.await;
    assert_eq!(held["containers"][0]["running"], json!([running]), "{held}");
    assert_eq!(held["pinned"], true, "{held}");

    let lines = String::from_utf8(beside(&controller, &[]).await.stdout);
    let lines = lines.expect("text");
    let page = request(&controller, "GET", "/").await.body;
    for (view, text) in [("the command", lines), ("the page", page)] {
        for version in ["1.4.2", "1.4.3"] {
            assert!(text.contains(version), "{view} lacks {version}: {text}");
        }
    }
}
