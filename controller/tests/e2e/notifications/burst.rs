//! A push of a few images that many workloads share.

use std::collections::BTreeMap;

use futures::{StreamExt as _, stream};
use kube_autorollout_testbed::{image::Image, receiver::Receiver, workload::eventually};
use serde_json::json;

use super::SECRET;
use crate::harness::{SOON, World};

/// Workloads of each image.
const WORKLOADS: usize = 10;

/// Objects that are created at once.
const AT_ONCE: usize = 8;

#[tokio::test]
async fn thirty_workloads_on_three_images_are_three_messages() {
    let receiver = Receiver::start().await.expect("a receiver");
    let world = World::new("burst").await;
    let tags = ["api", "shop", "web"];
    let image = |tag: &str, version: u32| Image::new(format!("{}-{tag}", world.marker(version)));
    for tag in tags {
        world.push(&image(tag, 1), tag).await;
    }
    let names = tags
        .into_iter()
        .flat_map(|tag| (0..WORKLOADS).map(move |number| (tag, number)));
    let deployed = stream::iter(names).map(async |(tag, number)| {
        world.deploy(&format!("{tag}-{number}"), tag).await;
    });
    deployed.buffer_unordered(AT_ONCE).collect::<()>().await;
    let sink = json!({
        "name": "team",
        "type": "webhook",
        "url": receiver.url(&format!("/{SECRET}")),
        "events": ["rolledOut"],
        "group": "image",
    });
    let configuration = format!("notifications: {}\n", json!({ "sinks": [sink] }));
    let controller = world.controller(&configuration).await;
    controller
        .until_all("UpToDate", tags.len() * WORKLOADS)
        .await;
    for tag in tags {
        world.push(&image(tag, 2), tag).await;
    }
    let grouped = eventually(2 * SOON, "messages about all", async || {
        let bodies = receiver.bodies();
        let workloads: u64 = bodies
            .iter()
            .filter_map(|body| body["count"].as_u64())
            .sum();
        (workloads == 30)
            .then_some(bodies)
            .ok_or_else(|| workloads.to_string())
    });
    let grouped = grouped.await.unwrap_or_else(|error| panic!("{error}"));
    let counts: BTreeMap<_, _> = grouped
        .iter()
        .map(|body| {
            (
                body["containers"][0]["image"].to_string(),
                body["count"].clone(),
            )
        })
        .collect();
    let expected = tags.map(|tag| (json!(world.image(tag)).to_string(), json!(WORKLOADS)));
    assert_eq!((grouped.len(), counts), (tags.len(), expected.into()));
}
